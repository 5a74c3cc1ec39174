// A person's session with the drawing page in headless Chromium; test_web.py looks at what it saw.
//
//     node page_session.js REQUEST.json
//
// REQUEST.json, beside what session_tools.js needs: {"url": the page's, "picture": an image file to
//   open, "drawings": SVG files to open, "download": where to put the download}; or, of these, the
//   url alone, and "backends": some of the page's, for a translation on each; or "camera": true.
// Prints a JSON object whose "moments" are {"input": RGBA, "output": RGBA, ...}, by name.

'use strict';
const {request, open, run} = require('./session_tools.js');

// Waits until the translation of what is drawn now is shown, and returns it all.
async function settle(page) {
  await page.waitForFunction(() => {
    const shown = document.getElementById('output').dataset.change;
    return shown && shown === document.getElementById('input').dataset.change &&
      document.getElementById('busy').hidden;
  });
  return page.evaluate(() => {
    const pixels = (id) => {
      const canvas = document.getElementById(id);
      return [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data];
    };
    const text = (id) => document.getElementById(id).textContent;
    return {
      input: pixels('input'),
      output: pixels('output'),
      status: text('status'),
      time: text('time'),
      noise: text('noise-number'),
      undo: !document.getElementById('undo').disabled,
      redo: !document.getElementById('redo').disabled,
    };
  });
}

// Where drawing pixel (x, y) is on the screen.
async function place(page, x, y) {
  const box = await page.locator('#input').boundingBox();
  const size = await page.locator('#input').evaluate((canvas) => canvas.width);
  return [box.x + (x + 0.5) / size * box.width, box.y + (y + 0.5) / size * box.height];
}

// What came after the browsers that check.js names.
const YOUNG = `
  delete Object.hasOwn;
  delete Object.groupBy;
  delete Array.fromAsync;
  delete window.structuredClone;
  for (const kind of [Array, String, Uint8ClampedArray]) {
    for (const name of ['at', 'findLast', 'toSorted', 'toReversed', 'with', 'isWellFormed']) {
      delete kind.prototype[name];
    }
  }`;

async function desktop(browser, seen) {
  const page = await open(browser, {viewport: {width: 1100, height: 900}}, seen);
  await page.addInitScript(YOUNG);
  const moments = {};
  await page.goto(request.url);
  moments.start = await settle(page);
  moments.palette = await page.locator('#palette button').allTextContents();
  moments.title = await page.title();

  await page.getByRole('button', {name: 'door'}).click();
  await page.mouse.move(...await place(page, 2, 3));
  await page.mouse.down();
  await page.mouse.move(...await place(page, 6, 6));
  moments.during = await settle(page);  // The button is still down.
  await page.mouse.move(...await place(page, 9, 11));
  await page.mouse.up();
  moments.rectangle = await settle(page);
  await page.getByRole('button', {name: 'Undo'}).click();
  moments.undone = await settle(page);
  await page.keyboard.press('Control+y');
  moments.redone = await settle(page);
  await page.getByRole('button', {name: 'New noise'}).click();
  moments.newNoise = await settle(page);

  const [download] = await Promise.all(
    [page.waitForEvent('download'), page.getByRole('button', {name: 'Download PNG'}).click()]);
  await download.saveAs(request.download);
  moments.downloadName = download.suggestedFilename();

  const clip = () => page.locator('#overlay').evaluate((one) => getComputedStyle(one).clipPath);
  moments.clips = [await clip()];
  await page.locator('#compare').focus();
  for (let press = 0; press < 30; press++) await page.keyboard.press('ArrowRight');
  moments.clips.push(await clip());

  // By keyboard alone: from the middle 8 pixels right, 1 down, as a brush stroke in red.
  await page.locator('#input').focus();
  await page.keyboard.press('c');
  moments.cleared = await settle(page);
  await page.keyboard.press('b');
  await page.locator('#size').evaluate((range) => { range.value = 1; });
  await page.getByRole('button', {name: 'pillar'}).focus();
  await page.keyboard.press('Enter');
  await page.locator('#input').focus();
  for (const key of ['Space', 'ArrowRight', 'Shift+ArrowDown', 'Space']) {
    await page.keyboard.press(key);
  }
  moments.byKeys = await settle(page);
  // A stroke that is given up leaves nothing.
  for (const key of ['Space', 'ArrowDown', 'Escape']) await page.keyboard.press(key);
  moments.givenUp = await settle(page);

  await page.getByRole('button', {name: 'Open sample 2'}).click();
  await page.getByText('Opened sample 2.').waitFor();
  moments.sample = await settle(page);
  await page.locator('#file').setInputFiles(request.picture);
  await page.getByText(/^Opened .*png/).waitFor();
  moments.opened = await settle(page);

  moments.drawings = [];
  for (const drawing of request.drawings) {
    await page.locator('#file').setInputFiles(drawing);
    await page.getByText(`Opened ${drawing.split('/').pop()}.`).waitFor();
    moments.drawings.push((await settle(page)).input);
  }

  // Another finger on Clear, and on a sample, while one draws: click() is not held back by
  // the button that is down. What the pointer does until it is lifted draws no more.
  await page.getByRole('button', {name: 'Rectangle'}).click();
  const interrupt = async (selector, text) => {
    await page.getByRole('button', {name: 'door'}).click();
    await page.mouse.move(...await place(page, 2, 3));
    await page.mouse.down();
    await page.mouse.move(...await place(page, 9, 9));
    await page.locator(selector).evaluate((button) => button.click());
    await page.getByText(text).waitFor();
    await page.mouse.move(...await place(page, 20, 20));
    await page.mouse.up();
    const moment = await settle(page);
    await page.getByRole('button', {name: 'Undo'}).click();
    return [moment, await settle(page)];
  };
  [moments.clearedInStroke, moments.strokeOfClear] = await interrupt('#clear', 'Cleared.');
  [moments.openedInStroke] = await interrupt('#gallery button >> nth=0', 'Opened sample 1.');
  await page.mouse.move(...await place(page, 25, 25));
  await page.mouse.down();
  await page.mouse.up();
  moments.strokeAfter = await settle(page);

  // By keyboard: a rectangle that leaving the drawing ends, undone and drawn again by mouse,
  // which a stroke by keyboard does not keep from it.
  await page.locator('#input').focus();
  await page.keyboard.press('c');
  for (const key of ['r', '2', 'Space', 'ArrowLeft', 'ArrowUp', 'Tab']) {
    await page.keyboard.press(key);
  }
  moments.leftByTab = await settle(page);
  await page.keyboard.press('Control+z');
  moments.undoneByKeys = await settle(page);
  await page.locator('#input').focus();
  await page.keyboard.press('Space');
  await page.mouse.move(...await place(page, 1, 1));
  await page.mouse.down();
  await page.mouse.up();
  moments.mouseAfterKeys = await settle(page);
  await page.keyboard.press('b');
  await page.keyboard.press(']');
  await page.keyboard.press(']');
  await page.keyboard.press('[');
  moments.brushSize = await page.locator('#size').inputValue();

  // A burst of strokes: the last one is what is shown.
  await page.locator('#input').focus();
  for (const color of ['1', '3', '5', '7']) {
    await page.keyboard.press(color);
    for (const key of ['Space', 'ArrowLeft', 'Space']) await page.keyboard.press(key);
  }
  moments.burst = await settle(page);

  moments.backends = await page.locator('#backend option').allTextContents();
  moments.camera = await page.locator('#camera').isVisible();
  await page.context().close();
  return moments;
}

async function phone(browser, seen) {
  const page = await open(
    browser, {viewport: {width: 390, height: 844}, hasTouch: true, isMobile: true}, seen);
  await page.goto(request.url);
  await settle(page);
  await page.getByRole('button', {name: 'Brush'}).tap();
  await page.getByRole('button', {name: 'pillar'}).tap();
  await page.evaluate(() => { document.getElementById('size').value = 1; window.scrollTo(0, 0); });
  await page.touchscreen.tap(...await place(page, 20, 10));
  const moment = await settle(page);
  moment.overflow = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  await page.context().close();
  return moment;
}

async function on(browser, backend) {
  const page = await open(browser);
  await page.goto(request.url);
  await settle(page);
  await page.locator('#backend').selectOption(backend);
  const ready = page.getByText(new RegExp(`^Ready, on .*\\(${backend}`));
  const failed = page.locator('#message:not([hidden])');
  await ready.or(failed).first().waitFor();
  if (await failed.isVisible()) return {message: await failed.textContent()};
  await page.keyboard.press('n');
  const moment = await settle(page);
  await page.context().close();
  return moment;
}

// What the page says where something is not there.
async function broken(browser, pattern, prepare) {
  const page = await open(browser);
  if (pattern) await page.route(pattern, (route) => route.fulfill({status: 404, body: 'gone'}));
  if (prepare) await page.addInitScript(prepare);
  await page.goto(request.url);
  await page.locator('#message:not([hidden])').waitFor();
  const text = await page.textContent('#message');
  await page.context().close();
  return text;
}

async function onBackends(browser) {
  const moments = {};
  for (const backend of request.backends) moments[backend] = await on(browser, backend);
  return {moments};
}

// The fake camera shows a clock.
async function withCamera(browser) {
  const page = await open(browser, {permissions: ['camera']});
  const moments = {};
  await page.goto(request.url);
  moments.before = await settle(page);
  await page.getByRole('button', {name: 'Camera'}).click();
  await page.getByText('The camera is on.').waitFor();
  // Frames go on while they are looked at.
  const frames = () => page.locator('#output').evaluate((canvas) => Number(canvas.dataset.change));
  const first = await frames();
  await page.waitForFunction(
    (count) => document.getElementById('output').dataset.change > count + 5, first);
  await page.getByRole('button', {name: 'Camera'}).click();
  moments.stopped = await settle(page);
  await page.waitForTimeout(300);
  moments.later = await settle(page);
  await page.keyboard.press('v');
  await page.getByText('The camera is on.').waitFor();
  await page.mouse.move(...await place(page, 2, 3));
  await page.mouse.down();
  await page.mouse.move(...await place(page, 9, 11));
  await page.mouse.up();
  moments.drawnOn = await settle(page);
  for (const name of ['undoneStroke', 'undoneSecond', 'undoneFirst']) {
    await page.getByRole('button', {name: 'Undo'}).click();
    moments[name] = await settle(page);
  }
  // Drawn on while the browser still asks, and while the video is starting.
  await page.evaluate(() => {
    const media = navigator.mediaDevices;
    const ask = media.getUserMedia.bind(media);
    window.streams = [];
    media.getUserMedia = async (wish) => {
      await new Promise((resolve) => setTimeout(resolve, 500));
      const stream = await ask(wish);
      window.streams.push(stream);
      return stream;
    };
  });
  await page.getByRole('button', {name: 'Camera'}).click();
  await page.mouse.move(...await place(page, 2, 3));
  await page.mouse.down();
  await page.mouse.move(...await place(page, 9, 11));
  await page.mouse.up();
  moments.drawnBeforeItIsOn = await settle(page);
  await page.waitForFunction(() => window.streams.length === 1);
  await page.waitForTimeout(300);
  moments.laterThanThat = await settle(page);
  moments.tracksLeft = await page.evaluate(() => window.streams.flatMap(
    (stream) => stream.getTracks()).filter((track) => track.readyState === 'live').length);
  await page.context().close();
  const forbidden = await open(browser);
  await forbidden.addInitScript(() => {
    navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotAllowedError'); };
  });
  await forbidden.goto(request.url);
  await settle(forbidden);
  await forbidden.getByRole('button', {name: 'Camera'}).click();
  await forbidden.getByText('may not use the camera').waitFor();
  moments.forbidden = await settle(forbidden);
  return {moments};
}

async function everything(browser) {
  const seen = {requests: [], errors: []};
  return {
    moments: {...await desktop(browser, seen), phone: await phone(browser, seen)},
    withoutModel: await broken(browser, '**/model-*/**'),
    withoutRuntime: await broken(browser, '**/runtime.js'),
    withoutSite: await broken(browser, '**/site.json'),
    oldBrowsers: [
      await broken(browser, null, 'delete window.WebAssembly'),
      await broken(browser, null, 'CSS.supports = () => false'),
    ],
    seen,
  };
}

if (request.camera) {
  run(withCamera, '--disable-gpu', '--use-fake-device-for-media-stream',
    '--use-fake-ui-for-media-stream');
} else if (request.backends) {
  // GPUs are imitations: slow, but the shaders are those that a GPU runs.
  run(onBackends, '--use-angle=swiftshader', '--enable-unsafe-swiftshader',
    '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader');
} else {
  run(everything, '--disable-gpu');
}
