// z, the noise of a translation, from a whole number: the same number gives the same picture.

'use strict';

// Returns `count` numbers in [0, 1), multiples of 2^-24, so that they stay under 1 as float32.
// The generator is mulberry32.
function drawNoise(number, count) {
  const numbers = new Float32Array(count);
  let state = number >>> 0;
  for (let at = 0; at < count; at++) {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    numbers[at] = ((mixed ^ (mixed >>> 14)) >>> 8) / 2 ** 24;
  }
  return numbers;
}
