// Runs a TF.js graph model on inputs from files, on the backend named.
//
//     node run.js REQUEST.json
//
// REQUEST.json: {"model": "path/to/model.json", "backend": "wasm" or "cpu", "repeat": 1,
//   "inputs": {"image": {"file": "image.bin", "shape": [1, 256, 256, 3]}, ...},
//   "outputs": "folder"}. Files hold float32, little-endian, row by row. Writes each output to
// "outputs" as NAME.bin, all runs in turn, and prints {"outputs": {NAME: shape}, "milliseconds": [a time a run]}.

'use strict';
const fs = require('fs');
const path = require('path');
const tf = require('@tensorflow/tfjs');

// Reads model.json and its shards from disk; @tensorflow/tfjs itself only fetches.
function diskHandler(modelPath) {
  return {
    load: async () => {
      const model = JSON.parse(fs.readFileSync(modelPath, 'utf8'));
      const folder = path.dirname(modelPath);
      const groups = model.weightsManifest;
      const shards = groups.flatMap((group) => group.paths)
        .map((shard) => fs.readFileSync(path.join(folder, shard)));
      const joined = Buffer.concat(shards);
      return {
        modelTopology: model.modelTopology,
        format: model.format,
        signature: model.signature,
        userDefinedMetadata: model.userDefinedMetadata,
        weightSpecs: groups.flatMap((group) => group.weights),
        weightData: joined.buffer.slice(joined.byteOffset, joined.byteOffset + joined.byteLength),
      };
    },
  };
}

function readTensor({file, shape}) {
  const bytes = fs.readFileSync(file);
  const values = new Float32Array(
    bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  return tf.tensor(values, shape, 'float32');
}

async function main(requestPath) {
  const request = JSON.parse(fs.readFileSync(requestPath, 'utf8'));
  if (request.backend === 'wasm') {
    const wasm = require('@tensorflow/tfjs-backend-wasm');
    wasm.setWasmPaths(
      path.join(path.dirname(require.resolve('@tensorflow/tfjs-backend-wasm')), path.sep));
    // One thread, as in a page: browsers give threads to sites with special headers only.
    tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  }
  if (!(await tf.setBackend(request.backend))) {
    throw new Error(`TF.js has no backend ${request.backend} here`);
  }
  const model = await tf.loadGraphModel(diskHandler(request.model));
  const inputs = {};
  for (const [name, described] of Object.entries(request.inputs)) {
    inputs[name] = readTensor(described);
  }
  const names = model.outputNodes;
  const milliseconds = [];
  const shapes = {};
  for (let run = 0; run < request.repeat; run++) {
    const start = performance.now();
    const outputs = [await model.executeAsync(inputs, names)].flat();
    const values = await Promise.all(outputs.map((output) => output.data()));
    milliseconds.push(performance.now() - start);
    outputs.forEach((output, index) => {
      shapes[names[index]] = output.shape;
      // One run after the other in a file.
      fs.appendFileSync(path.join(request.outputs, `${names[index]}.bin`),
        Buffer.from(values[index].buffer, values[index].byteOffset, values[index].byteLength));
      output.dispose();
    });
  }
  console.log(JSON.stringify({outputs: shapes, milliseconds}));
}

main(process.argv[2]).then(() => process.exit(0), (error) => {
  console.error(String((error && error.message) || error));
  process.exit(1);
});
