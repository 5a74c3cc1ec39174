// Loads the model and translates, away from the page's own thread, so that drawing never stalls.
//
// From the page: {type: "load", url, size, inputChannels, outputChannels, noiseSize, backend} and
// {type: "translate", id, pixels (RGBA), noise (whole number)}.
// To the page: {type: "start", backends: names}, {type: "progress", share}, {type: "ready", runtime, backend, tried},
// {type: "output", id, pixels (RGBA), milliseconds}, {type: "error", message}.

'use strict';

// Reasons not to use a GPU, for runtime.js.
function isSoftware(renderer) {
  return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(renderer);
}

async function withoutGpu() {
  if (!self.navigator.gpu) return 'this browser has none';
  const adapter = await self.navigator.gpu.requestAdapter();
  if (!adapter) return 'no GPU';
  const info = adapter.info || {};
  return isSoftware(`${info.description} ${info.architecture}`) ? 'no GPU but an imitation' : null;
}

importScripts('noise.js', 'runtime.js');  // The second is TF.js or LiteRT.js, as `runtime`.

let settings = null;

async function load() {
  const asked = settings.backend !== 'auto';
  const names = asked ? [settings.backend] : Object.keys(runtime.objections);
  const tried = [];
  postMessage({type: 'start', backends: Object.keys(runtime.objections)});
  for (const name of names) {
    try {
      runtime.forget();
      const objection = asked ? null : await runtime.objections[name]();
      if (objection) throw new Error(objection);
      const backend = await runtime.load(
        name, settings, (share) => postMessage({type: 'progress', share}));
      // Compiles shaders, and finds a GPU that computes nonsense.
      const values = await run(new Uint8ClampedArray(4 * settings.size ** 2).fill(255), 0);
      if (!values.every(Number.isFinite)) throw new Error('it computes wrong numbers here');
      postMessage({type: 'ready', runtime: runtime.name, backend, tried});
      return;
    } catch (error) {
      tried.push(`${name}: ${error.message}`);
    }
  }
  runtime.forget();
  postMessage({type: 'error', message: `The model does not run here. ${tried.join('; ')}.`});
}

// Returns the output, [size, size, output channels] in [-1, 1].
function run(pixels, noise) {
  const {size, inputChannels, noiseSize} = settings;
  return runtime.run(
    {values: toImage(pixels, inputChannels), shape: [1, size, size, inputChannels]},
    {values: drawNoise(noise, noiseSize), shape: [1, noiseSize]});
}

// RGBA bytes to numbers in [-1, 1]; grey by luminance (ITU-R BT.601), as in training.
function toImage(pixels, channels) {
  const image = new Float32Array(pixels.length / 4 * channels);
  for (let from = 0, to = 0; from < pixels.length; from += 4, to += channels) {
    if (channels === 1) {
      image[to] = Math.round(
        0.299 * pixels[from] + 0.587 * pixels[from + 1] + 0.114 * pixels[from + 2]) / 127.5 - 1;
    } else {
      for (let c = 0; c < channels; c++) image[to + c] = pixels[from + c] / 127.5 - 1;
    }
  }
  return image;
}

function toPixels(image, channels) {
  const pixels = new Uint8ClampedArray(image.length / channels * 4).fill(255);
  for (let from = 0, to = 0; from < image.length; from += channels, to += 4) {
    for (let c = 0; c < Math.max(channels, 3); c++) {
      pixels[to + c] = (image[from + (channels === 1 ? 0 : c)] + 1) * 127.5;  // Rounds and clips.
    }
  }
  return pixels;
}

async function translate({id, pixels, noise}) {
  const started = performance.now();
  const pixelsOut = toPixels(await run(pixels, noise), settings.outputChannels);
  const milliseconds = performance.now() - started;
  postMessage({type: 'output', id, pixels: pixelsOut, milliseconds}, [pixelsOut.buffer]);
}

onmessage = async ({data}) => {
  try {
    if (data.type === 'load') {
      settings = data;
      await load();
    } else {
      await translate(data);
    }
  } catch (error) {
    postMessage({type: 'error', message: `The translation failed: ${error.message}`});
  }
};
