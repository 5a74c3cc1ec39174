// A session without its page: which pictures come when, and the file of the answers.
'use strict';

const ANSWERS_FORMAT = 'pix2pix_tf perceptual study answers';
const POSITIONS = ['first', 'second'];

// Returns a function that draws from [0, 1): mulberry32, the same numbers in every browser.
function seededRandom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6D2B79F5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

// Returns 0, ..., count - 1 in a random order (Fisher and Yates).
function shuffled(count, random) {
  const order = Array.from({length: count}, (_, index) => index);
  for (let last = count - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [order[last], order[other]] = [order[other], order[last]];
  }
  return order;
}

// Returns what a session shows; all of it follows from the seed and the algorithm.
//   algorithm: a name, or null to draw one.
function planSession(description, seed, algorithm) {
  const random = seededRandom(seed);
  // Drawn also where it is given, so that the trials of a seed are the same either way.
  const drawn = description.algorithms[Math.floor(random() * description.algorithms.length)];
  const chosen = algorithm === null ? drawn :
    description.algorithms.find((one) => one.name === algorithm);
  const {pairs} = description;
  const order = shuffled(pairs.length, random);
  const count = description.num_practice + description.num_trials;
  // How far the real picture is from the fake in that order: where there are pairs enough, no
  // scene is seen twice.
  const offset = description.pairing === 'same' ? 0 :
    Math.min(count, Math.floor(pairs.length / 2));
  const trials = order.slice(0, count).map((pair, number) => {
    const real = order[(number + offset) % order.length];
    const fakePosition = POSITIONS[Math.floor(random() * 2)];
    const fakeFile = chosen.fakes[pair], realFile = pairs[real].real;
    return {
      practice: number < description.num_practice,
      pair: pairs[pair].name,
      real: pairs[real].name,
      fake: fakePosition,
      files: fakePosition === 'first' ? [fakeFile, realFile] : [realFile, fakeFile],
    };
  });
  return {algorithm: chosen.name, seed, trials};
}

// Returns the CRC-32 of a text's UTF-8 bytes as 8 hexadecimal digits.
function checksum(text) {
  let crc = 0xFFFFFFFF;
  for (const byte of new TextEncoder().encode(text)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xEDB88320 : 0);
  }
  return ((crc ^ 0xFFFFFFFF) >>> 0).toString(16).padStart(8, '0');
}

// Returns the text of the file: whole numbers, texts and truth values only, which every
// language writes alike, so that the checksum can be checked anywhere.
function writeAnswers(session) {
  const file = {
    format: ANSWERS_FORMAT,
    version: DESCRIPTION.version,
    checksum: checksum(JSON.stringify(session)),
    session,
  };
  return JSON.stringify(file, null, 1) + '\n';
}
