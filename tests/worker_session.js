// The page's worker without a browser: which models it loads and frees; test_web.py looks at it.
//
//     node worker_session.js worker.js runtime.js
//
// TF.js is an imitation whose webgl computes nonsense. Asks for any backend, then for cpu.

'use strict';
const fs = require('fs');
const vm = require('vm');

const events = [];
const ready = [];
let backend = null;

function loadModel() {
  const own = backend;
  events.push(`load on ${own}`);
  return {
    execute: () => ({
      data: async () => Float32Array.of(own === 'webgl' ? NaN : 0),
      dispose: () => {},
    }),
    dispose: () => events.push(`free of ${own}`),
  };
}

const worker = vm.createContext({
  importScripts: (...files) => {
    if (files.includes('runtime.js')) {
      // `const` at the top of a script is seen by the others, and so it is here.
      vm.runInContext(fs.readFileSync(process.argv[3], 'utf8'), worker);
    }
  },
  postMessage: (message) => message.type === 'ready' && ready.push(message),
  drawNoise: (number, count) => new Float32Array(count),
  navigator: {},
  performance,
  OffscreenCanvas: class {
    getContext() {
      return {getExtension: () => null, getParameter: () => 'a real GPU'};
    }
  },
  tf: {
    wasm: {setWasmPaths: () => {}},
    env: () => ({set: () => {}, getBool: () => true}),
    setBackend: async (name) => { backend = name; return true; },
    ready: async () => {},
    tidy: (compute) => compute(),
    tensor: () => {},
    loadGraphModel: async () => loadModel(),
  },
});
worker.self = worker;
vm.runInContext(fs.readFileSync(process.argv[2], 'utf8'), worker);

async function main() {
  const model = {size: 2, inputChannels: 3, outputChannels: 3, noiseSize: 1};
  for (const asked of ['auto', 'cpu']) {
    await worker.onmessage({data: {...model, type: 'load', backend: asked}});
  }
  console.log(JSON.stringify({events, ready}));
}

main();
