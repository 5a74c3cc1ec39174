// The page: tools, undo, the worker that translates, and what is shown of it.

import {Camera} from './camera.js';
import {Drawing} from './drawing.js';

const INTERVAL = 60;  // Milliseconds from a change to the translation that is asked for it.
const KEY_STEP = 8;  // Drawing pixels that an arrow key moves the cursor.

const $ = (id) => document.getElementById(id);

// What is asked of the model, one picture at a time: while it computes, only the newest wish
// is kept, so that a slow machine shows the latest stroke instead of working off a queue.
class Translator {
  constructor(model, show, worker) {
    this.model = model;
    this.show = show;
    this.id = 0;
    this.waiting = [];  // Who waits until nothing is wished for.
    this.start('auto', worker);
  }

  start(backend, worker = startWorker()) {
    if (this.worker) this.worker.terminate();
    this.isReady = false;
    this.isBusy = false;
    this.wish = this.wish || this.asked || null;
    this.worker = worker;
    this.worker.onmessage = ({data}) => this.receive(data);
    this.worker.stopped.then((reason) => worker === this.worker && this.show(
      {type: 'error', message: `The worker stopped: ${reason}`}));
    const url = new URL(this.model.url, document.baseURI).href;  // The worker lies elsewhere.
    this.worker.postMessage({...this.model, url, type: 'load', backend});
  }

  // change: a number of the caller's, given back with the picture.
  translate(pixels, noise, change) {
    this.wish = {pixels: pixels.slice(), noise, change};
    this.next();
  }

  // Returns when all that was asked for is shown.
  idle() {
    if (!this.isBusy && !this.wish) return Promise.resolve();
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  next() {
    if (!this.isBusy && !this.wish) this.waiting.splice(0).forEach((resolve) => resolve());
    if (!this.isReady || this.isBusy || !this.wish) return;
    this.isBusy = true;
    this.asked = this.wish;
    this.wish = null;
    this.id += 1;
    this.show({type: 'busy'});
    this.worker.postMessage({type: 'translate', id: this.id, ...this.asked});
  }

  receive(data) {
    if (data.type === 'output') {
      this.isBusy = false;
      const {noise, change} = this.asked;
      this.show({...data, noise, change, isLatest: !this.wish});
    } else {
      this.isReady = data.type === 'ready' || this.isReady;
      if (data.type === 'error') this.isBusy = false;
      this.show(data);
    }
    this.next();
  }
}

class App {
  constructor(site, worker) {
    this.site = site;
    const {size} = site.model;
    this.size = size;
    this.drawing = new Drawing(size, site.palette[0].color);
    this.color = site.palette[Math.min(1, site.palette.length - 1)].color;
    this.noise = 1;
    this.cursor = {x: size >> 1, y: size >> 1};
    this.from = null;  // Where the stroke that is going on began, or went last.
    this.camera = new Camera((video, isFirst) => this.takeFrame(video, isFirst),
      () => this.endCamera());
    for (const id of ['input', 'output', 'overlay']) {
      $(id).width = $(id).height = size;
    }
    this.describe();
    this.makePalette();
    this.makeGallery();
    this.chooseTool(site.mode === 'pen' ? 'brush' : 'rectangle');
    $('size').max = Math.max(4, size >> 3);
    $('size').value = site.mode === 'pen' ? Math.max(1, size >> 7) : Math.max(2, size >> 5);
    this.connect();
    this.translator = new Translator(site.model, (event) => this.show(event), worker);
    this.change();
    if (site.samples.length) this.openFirst(site.samples[0].input);
  }

  // --- What the page says.

  describe() {
    const {site} = this;
    document.title = `${site.title}: draw`;
    $('title').textContent = site.title;
    $('subtitle').textContent = site.subtitle;
    $('model-facts').textContent = site.facts;
    $('model-link').href = site.model.url;
    $('gallery-note').textContent = site.gallery;
    $('gallery-section').hidden = !site.samples.length;
    $('noise').hidden = site.model.noiseSize === 0;
    $('camera').hidden = !site.camera;
  }

  say(text) {
    $('status').textContent = text;
  }

  // Shows what the worker reports.
  show(event) {
    if (event.type === 'start') {
      if ($('backend').length > 1) return;
      for (const name of event.backends) $('backend').add(new Option(name, name));
    } else if (event.type === 'progress') {
      $('progress').value = event.share;
    } else if (event.type === 'ready') {
      $('loading').hidden = true;
      $('message').hidden = true;
      this.backend = `${event.runtime} (${event.backend})`;
      this.say(`Ready, on ${this.backend}.` +
        (event.tried.length ? ` Not used: ${event.tried.join('; ')}.` : ''));
    } else if (event.type === 'busy') {
      $('busy').hidden = false;
    } else if (event.type === 'output') {
      $('output').getContext('2d').putImageData(
        new ImageData(event.pixels, this.size, this.size), 0, 0);
      $('time').textContent = `${Math.round(event.milliseconds)} ms on ${this.backend}`;
      $('noise-number').textContent = this.site.model.noiseSize ? `· noise ${event.noise}` : '';
      $('download').disabled = false;
      $('message').hidden = true;
      $('busy').hidden = event.isLatest;
      $('output').dataset.change = event.change;  // What is shown, for tests and the curious.
    } else {
      $('loading').hidden = true;
      $('busy').hidden = true;
      $('message').textContent = event.message;
      $('message').hidden = false;
      this.say(event.message);
    }
  }

  // --- Tools.

  makePalette() {
    this.site.palette.forEach(({name, color}, index) => {
      const button = document.createElement('button');
      button.type = 'button';
      const swatch = document.createElement('span');
      swatch.className = 'swatch';
      swatch.style.background = `rgb(${color})`;
      button.append(swatch, name);
      if (index < 10) button.title = `${name} (${(index + 1) % 10})`;
      button.onclick = () => this.chooseColor(index);
      $('palette').append(button);
    });
    this.chooseColor(Math.min(1, this.site.palette.length - 1));
  }

  chooseColor(index) {
    const chosen = this.site.palette[index];
    if (!chosen) return;
    this.color = chosen.color;
    [...$('palette').children].forEach((button, at) => {
      button.setAttribute('aria-pressed', at === index);
    });
  }

  chooseTool(tool) {
    this.tool = tool;
    $('tool-rectangle').setAttribute('aria-pressed', tool === 'rectangle');
    $('tool-brush').setAttribute('aria-pressed', tool === 'brush');
    $('size-group').hidden = tool === 'rectangle';
  }

  // --- Strokes.

  beginStroke(at) {
    this.camera.stop();
    this.say('');
    this.drawing.begin();
    this.from = at;
    this.moveStroke([at]);
  }

  // places: where the pointer has been since the last call, in order.
  moveStroke(places) {
    places.forEach((to) => this.extendStroke(to));
    this.change();
  }

  extendStroke(to) {
    if (this.tool === 'rectangle') {
      this.drawing.rewind();
      this.drawing.rectangle(this.from, to, this.color);
    } else {
      this.drawing.line(this.from, to, Number($('size').value), this.color);
      this.from = to;
    }
  }

  endStroke() {
    this.drawing.end();
    this.from = null;
    this.change();
  }

  // What has been drawn of a stroke stays, and the pointer draws no further.
  interruptStroke() {
    this.camera.stop();
    if (this.from) this.endStroke();
    this.pointer = null;
  }

  cancelStroke() {
    this.drawing.cancel();
    this.from = null;
    this.change();
  }

  // Shows the drawing, and asks for its translation.
  change(interval = INTERVAL) {
    this.changes = (this.changes || 0) + 1;
    this.draw();
    $('input').dataset.change = this.changes;
    $('undo').disabled = !this.drawing.done.length || this.camera.isOn;
    $('redo').disabled = !this.drawing.undone.length || this.camera.isOn;
    // Not put off by the next change: the picture is to follow while the pointer moves.
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.translator.translate(this.drawing.pixels, this.noise, this.changes);
    }, interval);
  }

  draw() {
    const image = new ImageData(this.drawing.pixels.slice(), this.size, this.size);
    $('input').getContext('2d').putImageData(image, 0, 0);
    $('overlay').getContext('2d').putImageData(image, 0, 0);
  }

  // --- Commands.

  undo() {
    if (this.drawing.undo()) this.change();
  }

  redo() {
    if (this.drawing.redo()) this.change();
  }

  clear() {
    this.interruptStroke();
    this.drawing.clear();
    this.change();
    this.say('Cleared. Undo brings the drawing back.');
  }

  newNoise() {
    this.noise += 1;
    this.change();
  }

  download() {
    $('output').toBlob((blob) => {
      const link = document.createElement('a');
      link.href = URL.createObjectURL(blob);
      link.download = 'translation.png';
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
      this.say('Downloaded translation.png.');
    }, 'image/png');
  }

  // Translates what the camera sees, all with one noise, until it is stopped or drawn on; then the
  // last frame stays, and undo brings back what was there before.
  async toggleCamera() {
    if (this.camera.isOn) return this.camera.stop();
    this.interruptStroke();
    try {
      await this.camera.start();
    } catch (error) {
      this.say(error.message);
    }
  }

  async takeFrame(video, isFirst) {
    if (isFirst) {
      this.drawing.begin();
      $('camera').setAttribute('aria-pressed', true);
      this.say('The camera is on. Press Camera again to keep what it sees.');
    }
    this.drawing.show(this.squareOf(video, video.videoWidth, video.videoHeight));
    this.change(0);
    await new Promise((resolve) => setTimeout(resolve, 0));
    await this.translator.idle();
  }

  endCamera() {
    this.drawing.end();
    $('camera').setAttribute('aria-pressed', false);
    this.say('');
    this.change();
  }

  // Puts the central square of an image into the drawing.
  // isFirst: nobody asked for it; whoever draws already keeps the drawing.
  async openImage(url, name, {isFirst = false} = {}) {
    const image = new Image();
    image.src = url;
    try {
      await image.decode();
    } catch {
      this.say(`This browser cannot read ${name} as an image.`);
      return false;
    }
    const pixels = this.squareOf(image, image.naturalWidth, image.naturalHeight);
    if (isFirst && (this.drawing.done.length || this.from)) return false;  // Not over a drawing.
    this.interruptStroke();
    this.drawing.replace(pixels);
    this.change();
    this.say(`Opened ${name}.`);
    return true;
  }

  // Returns the RGBA pixels of the central square of an image or a video, in the drawing's size.
  squareOf(image, width, height) {
    const side = Math.min(width, height);
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = this.size;
    const context = canvas.getContext('2d');
    context.fillStyle = '#fff';  // Under transparent pixels, as in training.
    context.fillRect(0, 0, this.size, this.size);
    context.imageSmoothingQuality = 'high';
    context.drawImage(image, (width - side) / 2, (height - side) / 2,
      side, side, 0, 0, this.size, this.size);
    return context.getImageData(0, 0, this.size, this.size).data;
  }

  // What the page begins with, which is nobody's stroke to undo.
  async openFirst(url) {
    if (!(await this.openImage(url, 'the first sample', {isFirst: true}))) return;
    this.drawing.forget();
    this.change();
  }

  async openFile(file) {
    if (!file) return;
    const url = URL.createObjectURL(await withSize(file, this.size));
    await this.openImage(url, file.name);
    URL.revokeObjectURL(url);
  }

  makeGallery() {
    this.site.samples.forEach(({input, target}, index) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.setAttribute('aria-label', `Open sample ${index + 1}`);
      for (const source of [input, target]) {
        const image = new Image();
        image.src = source;
        image.alt = '';
        image.loading = 'lazy';
        button.append(image);
      }
      button.onclick = () => this.openImage(input, `sample ${index + 1}`);
      $('gallery').append(button);
    });
  }

  // --- Events.

  connect() {
    const input = $('input');
    const at = (event) => {
      const box = input.getBoundingClientRect();
      const place = (offset, extent) =>
        Math.min(this.size - 1, Math.max(0, Math.floor(offset / extent * this.size)));
      return {x: place(event.clientX - box.left, box.width),
        y: place(event.clientY - box.top, box.height)};
    };
    input.addEventListener('pointerdown', (event) => {
      if (event.button || this.pointer != null) return;  // One finger at a time.
      this.interruptStroke();  // One by keyboard.
      input.setPointerCapture(event.pointerId);
      this.pointer = event.pointerId;
      this.beginStroke(at(event));
    });
    input.addEventListener('pointermove', (event) => {
      if (event.pointerId !== this.pointer) return;
      // All the places since the last frame, so that a fast stroke stays round.
      const events = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
      this.moveStroke((events.length ? events : [event]).map(at));
    });
    for (const [name, finish] of [['pointerup', 'endStroke'], ['pointercancel', 'cancelStroke']]) {
      input.addEventListener(name, (event) => {
        if (event.pointerId !== this.pointer) return;
        this.pointer = null;
        this[finish]();
      });
    }
    $('tool-rectangle').onclick = () => this.chooseTool('rectangle');
    $('tool-brush').onclick = () => this.chooseTool('brush');
    $('undo').onclick = () => this.undo();
    $('redo').onclick = () => this.redo();
    $('clear').onclick = () => this.clear();
    $('open').onclick = () => $('file').click();
    $('camera').onclick = () => this.toggleCamera();
    $('file').onchange = () => {
      this.openFile($('file').files[0]);
      $('file').value = '';  // So that the same file can be opened again.
    };
    $('noise').onclick = () => this.newNoise();
    $('download').onclick = () => this.download();
    $('backend').onchange = () => {
      $('progress').value = 0;
      $('loading').hidden = false;
      this.say('Loading the model');
      this.translator.start($('backend').value);
    };
    $('compare').oninput = () => {
      $('overlay').style.clipPath = `inset(0 ${100 - $('compare').value}% 0 0)`;
    };
    document.addEventListener('dragover', (event) => event.preventDefault());
    document.addEventListener('drop', (event) => {
      event.preventDefault();
      this.openFile(event.dataTransfer.files[0]);
    });
    document.addEventListener('keydown', (event) => this.key(event));
    input.addEventListener('keydown', (event) => this.drawByKey(event));
    input.addEventListener('blur', () => {
      if (this.from && this.pointer == null) this.endStroke();
      $('cursor').hidden = true;
    });
  }

  key(event) {
    const name = event.key.toLowerCase();
    const isTyping = event.target.matches('select, input:not([type=range])');
    if (isTyping || event.altKey || this.from) return;
    const commands = event.ctrlKey || event.metaKey ?
      {__proto__: null, z: () => (event.shiftKey ? this.redo() : this.undo()), y: () => this.redo()} :
      {
        __proto__: null,
        r: () => this.chooseTool('rectangle'),
        b: () => this.chooseTool('brush'),
        n: () => !$('noise').hidden && this.newNoise(),
        d: () => !$('download').disabled && this.download(),
        c: () => this.clear(),
        o: () => $('file').click(),
        v: () => !$('camera').hidden && this.toggleCamera(),
        '[': () => $('size').stepDown(),
        ']': () => $('size').stepUp(),
      };
    if (commands[name]) {
      commands[name]();
    } else if (/^[0-9]$/.test(name) && !event.ctrlKey && !event.metaKey) {
      this.chooseColor((Number(name) + 9) % 10);
    } else {
      return;
    }
    event.preventDefault();
  }

  drawByKey(event) {
    const moves = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
    const isDown = this.from && this.pointer == null;
    if (moves[event.key]) {
      const step = event.shiftKey ? 1 : KEY_STEP;
      const inside = (value) => Math.min(this.size - 1, Math.max(0, value));
      this.cursor = {x: inside(this.cursor.x + step * moves[event.key][0]),
        y: inside(this.cursor.y + step * moves[event.key][1])};
      if (isDown) this.moveStroke([this.cursor]);
    } else if (event.key === ' ') {
      if (isDown) this.endStroke();
      else this.beginStroke(this.cursor);
    } else if (event.key === 'Escape' && isDown) {
      this.cancelStroke();
    } else {
      return;
    }
    event.preventDefault();
    $('cursor').hidden = false;
    $('cursor').classList.toggle('down', this.from !== null);
    $('cursor').style.left = `${(this.cursor.x + 0.5) / this.size * 100}%`;
    $('cursor').style.top = `${(this.cursor.y + 0.5) / this.size * 100}%`;
  }
}

// Returns a worker whose promise `stopped` gives the reason once it has failed, even before anybody
// asks.
function startWorker() {
  const worker = new Worker(new URL('worker.js', import.meta.url));
  worker.stopped = new Promise((resolve) => {
    worker.onerror = (event) => resolve(event.message || 'it did not load');
  });
  return worker;
}

// An SVG need not have a size; browsers then take one of their own, or none and draw nothing.
async function withSize(file, size) {
  if (file.type !== 'image/svg+xml') return file;
  const root = new DOMParser().parseFromString(await file.text(), file.type).documentElement;
  const hasSize = ['width', 'height'].every((side) => /^[\d.]+[a-z]*$/.test(root.getAttribute(side)));
  if (hasSize) return file;
  const {width, height} = root.viewBox?.baseVal || {};
  root.setAttribute('width', width || size);
  root.setAttribute('height', height || size);
  return new Blob([new XMLSerializer().serializeToString(root)], {type: file.type});
}

async function main() {
  if (window.pix2pixMissing) return;
  const worker = startWorker();  // Its runtime starts while the rest is being read.
  const response = await fetch('site.json', {cache: 'no-cache'});  // It names the model's folder.
  if (!response.ok) throw new Error(`site.json: ${response.status} ${response.statusText}`);
  new App(await response.json(), worker);
}

main().catch((error) => {
  $('loading').hidden = true;
  $('message').textContent = `The page could not start: ${error.message}`;
  $('message').hidden = false;
});
