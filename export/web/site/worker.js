// Loads the model and translates, away from the page's own thread, so that drawing never stalls.
//
// From the page: {type: "load", url, size, inputChannels, outputChannels, noiseSize, backend} and
// {type: "translate", id, pixels (RGBA), noise (whole number)}.
// To the page: {type: "progress", share}, {type: "ready", backend, tried},
// {type: "output", id, pixels (RGBA), milliseconds}, {type: "error", message}.

'use strict';

importScripts('noise.js', 'vendor/tf.js', 'vendor/tf-backend-wasm.js', 'vendor/tf-backend-webgpu.js');

let model = null;
let settings = null;

// Each answers with a reason not to use the backend here, or null.
const OBJECTIONS = {
  webgpu: async () => {
    if (!self.navigator.gpu) return 'this browser has none';
    const adapter = await self.navigator.gpu.requestAdapter();
    if (!adapter) return 'no GPU';
    const info = adapter.info || {};
    return isSoftware(`${info.description} ${info.architecture}`) ? 'no GPU but an imitation' : null;
  },
  webgl: async () => {
    if (!self.OffscreenCanvas) return 'this browser has none in workers';
    const gl = new OffscreenCanvas(1, 1).getContext('webgl2');
    if (!gl) return 'this browser has none';
    const info = gl.getExtension('WEBGL_debug_renderer_info');
    const renderer = gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER);
    return isSoftware(renderer) ? 'no GPU but an imitation, slower than WebAssembly' : null;
  },
  wasm: async () => null,
  cpu: async () => null,
};

function isSoftware(renderer) {
  return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(renderer);
}

// Returns why a backend cannot be used, or null when it is in use.
async function start(name, objections) {
  try {
    const objection = objections ? await OBJECTIONS[name]() : null;
    if (objection) return objection;
    if (!(await tf.setBackend(name))) return 'it did not start';
    await tf.ready();
    if (name === 'webgl' && !tf.env().getBool('WEBGL_RENDER_FLOAT32_ENABLED')) {
      return 'its numbers have 16 bits, too few for the normalisation';
    }
    return null;
  } catch (error) {
    return error.message;
  }
}

async function load() {
  tf.wasm.setWasmPaths('vendor/');
  // Threads need headers that a plain file host does not send.
  tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  const asked = settings.backend !== 'auto';
  const names = asked ? [settings.backend] : Object.keys(OBJECTIONS);
  const tried = [];
  for (const name of names) {
    forget();
    const reason = await start(name, !asked) || await firstTranslation();
    if (!reason) {
      postMessage({type: 'ready', backend: name, tried});
      return;
    }
    tried.push(`${name}: ${reason}`);
  }
  forget();
  postMessage({type: 'error', message: `The model does not run here. ${tried.join('; ')}.`});
}

// Frees the weights, which belong to the backend that they were loaded on.
function forget() {
  if (model) model.dispose();
  model = null;
}

// Loads the model on the backend in use and tries it: compiles shaders, and finds a GPU that
// computes nonsense. Returns what is wrong, or null.
async function firstTranslation() {
  try {
    model = await tf.loadGraphModel(settings.url, {
      onProgress: (share) => postMessage({type: 'progress', share}),
    });
    const values = await run(new Uint8ClampedArray(4 * settings.size ** 2).fill(255), 0);
    return values.every(Number.isFinite) ? null : 'it computes wrong numbers here';
  } catch (error) {
    return error.message;
  }
}

// Returns the output, [size, size, output channels] in [-1, 1].
async function run(pixels, noise) {
  const {size, inputChannels, noiseSize} = settings;
  const output = tf.tidy(() => {
    const image = tf.tensor4d(toImage(pixels, inputChannels), [1, size, size, inputChannels]);
    const z = tf.tensor2d(drawNoise(noise, noiseSize), [1, noiseSize]);
    return model.execute({image, z}, 'output');
  });
  try {
    return await output.data();
  } finally {
    output.dispose();
  }
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
