// A square picture that is drawn on: pixels, tools and what can be undone. It knows no DOM.
//
// Strokes have hard edges. A smoothed edge would mix two label colours into a third, which
// the model has never seen.

const MOST_UNDO_BYTES = 2 ** 26;

export class Drawing {
  // size: pixels of a side. background: [r, g, b].
  constructor(size, background) {
    this.size = size;
    this.background = background;
    this.pixels = new Uint8ClampedArray(4 * size * size);  // RGBA, row by row.
    this.done = [];
    this.undone = [];
    this.begun = null;  // The pixels before a stroke that is not ended.
    this.fill(background);
  }

  fill([r, g, b]) {
    for (let at = 0; at < this.pixels.length; at += 4) {
      this.pixels.set([r, g, b, 255], at);
    }
  }

  // A stroke, a rectangle or another change that is undone as one.
  begin() {
    this.begun = this.pixels.slice();
  }

  // Back to before the stroke, which goes on: a rectangle is drawn anew at each move.
  rewind() {
    this.pixels.set(this.begun);
  }

  end() {
    if (!this.begun) return;
    const changed = this.begun.some((value, at) => value !== this.pixels[at]);
    if (changed) {
      this.done.push(this.begun);
      if (this.done.length * this.pixels.length > MOST_UNDO_BYTES) this.done.shift();
      this.undone = [];
    }
    this.begun = null;
  }

  cancel() {
    if (!this.begun) return;
    this.rewind();
    this.begun = null;
  }

  undo() {
    return this.exchange(this.done, this.undone);
  }

  redo() {
    return this.exchange(this.undone, this.done);
  }

  exchange(from, to) {
    if (!from.length || this.begun) return false;
    to.push(this.pixels.slice());
    this.pixels.set(from.pop());
    return true;
  }

  // Makes this the state before which nothing is undone.
  forget() {
    this.done = [];
    this.undone = [];
  }

  clear() {
    this.begin();
    this.fill(this.background);
    this.end();
  }

  // Shows RGBA pixels of the same size, opaque, within a change that has begun.
  show(pixels) {
    this.pixels.set(pixels);
    for (let at = 3; at < this.pixels.length; at += 4) this.pixels[at] = 255;
  }

  // Takes over pixels as a change of their own.
  replace(pixels) {
    this.begin();
    this.show(pixels);
    this.end();
  }

  // Both corners belong to the rectangle.
  rectangle(from, to, color) {
    const [left, right] = [Math.min(from.x, to.x), Math.max(from.x, to.x)];
    const [top, bottom] = [Math.min(from.y, to.y), Math.max(from.y, to.y)];
    for (let y = top; y <= bottom; y++) this.span(y, left, right, color);
  }

  // A line of a round brush, `diameter` pixels wide.
  line(from, to, diameter, color) {
    const steps = Math.max(Math.abs(to.x - from.x), Math.abs(to.y - from.y), 1);
    for (let step = 0; step <= steps; step++) {
      this.dot(Math.round(from.x + (to.x - from.x) * step / steps),
        Math.round(from.y + (to.y - from.y) * step / steps), diameter, color);
    }
  }

  dot(x, y, diameter, color) {
    const radius = diameter / 2;
    // An even diameter is centred between pixels.
    const shift = diameter % 2 ? 0 : 0.5;
    for (let dy = -Math.ceil(radius); dy <= radius; dy++) {
      const half = radius * radius - (dy + shift) * (dy + shift);
      if (half < 0) continue;
      const reach = Math.sqrt(half);
      this.span(y + dy, Math.ceil(x - shift - reach), Math.floor(x - shift + reach), color);
    }
  }

  span(y, left, right, [r, g, b]) {
    if (y < 0 || y >= this.size) return;
    for (let x = Math.max(left, 0); x <= Math.min(right, this.size - 1); x++) {
      const at = 4 * (y * this.size + x);
      this.pixels[at] = r;
      this.pixels[at + 1] = g;
      this.pixels[at + 2] = b;
      this.pixels[at + 3] = 255;
    }
  }
}
