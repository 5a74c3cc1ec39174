// Runs the model in LiteRT.js, for worker.js, whose `withoutGpu` it calls.

'use strict';

const VENDOR = new URL('vendor/', self.location).href;
// More are hardly faster, and the processors of phones have a few slow cores among theirs.
const MOST_THREADS = 4;

const runtime = {
  name: 'LiteRT.js',
  started: null,
  litert: null,
  model: null,
  threads: 1,

  // What may be tried, the fastest first; each answers with a reason not to use it here, or null.
  objections: {
    webgpu: withoutGpu,
    wasm: async () => null,
  },

  // Loads the model on a backend, and returns what to say of the backend.
  async load(backend, {url}, onProgress) {
    const [contents] = await Promise.all([download(url, onProgress), this.start()]);
    if (backend === 'webgpu' && !this.litert.getWebGpuDevice()) throw new Error('no GPU');
    this.model = await this.litert.loadAndCompile(contents, {
      accelerator: backend,
      cpuOptions: {numThreads: this.threads},
      gpuOptions: {precision: 'fp32'},  // 16 bits are too few for the normalisation.
    });
    if (this.model.options.accelerator !== backend) throw new Error('not all of the model runs on it');
    if (backend !== 'wasm' || this.threads === 1) return backend;
    return `${backend}, ${this.threads} threads`;
  },

  // Starts LiteRT.js itself, once.
  start() {
    this.started ??= this.startOnce();
    return this.started;
  },

  async startOnce() {
    const litert = await import(`${VENDOR}litert.js`);
    // The browser gives threads to sites with the headers that serve.py sends.
    const threads = Math.min(MOST_THREADS, self.navigator.hardwareConcurrency || 1);
    const mayShare = self.crossOriginIsolated && threads > 1;
    const begin = (options) => {
      // Where its threads begin, which a script within a worker cannot find out.
      self.Module = {
        locateFile: (file) => VENDOR + file,
        mainScriptUrlOrBlob: `${VENDOR}litert_wasm_threaded_internal.js`,
        printErr: (line) => /^(INFO|WARNING):/.test(line) || console.error(line),
      };
      return litert.loadLiteRt(VENDOR, options);
    };
    try {
      await begin({threads: mayShare});
      this.threads = mayShare ? threads : 1;
    } catch (error) {
      if (!mayShare) throw error;
      await begin({threads: false});  // A browser whose WebAssembly lacks something for threads.
    }
    this.litert = litert;
  },

  // Returns the values of the output.
  // image, z: {values, shape}.
  async run(image, z) {
    const inputs = {image: new this.litert.Tensor(image.values, image.shape)};
    // A model without dropout takes a z without numbers, of which LiteRT.js makes no tensor.
    const hasNoise = z.values.length > 0;
    if (hasNoise) inputs.z = new this.litert.Tensor(z.values, z.shape);
    let outputs = {};
    try {
      outputs = await this.model.run(hasNoise ? 'with_noise' : 'serving_default', inputs);
      return (await outputs.output.data()).slice();
    } finally {
      for (const tensor of [...Object.values(inputs), ...Object.values(outputs)]) tensor.delete();
    }
  },

  forget() {
    if (this.model) this.model.delete();
    this.model = null;
  },
};

runtime.start().catch(() => {});  // Before the page knows of its model; `load` tells of errors.

// Returns the bytes of a file.
async function download(url, onProgress) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`);
  const expected = Number(response.headers.get('content-length'));
  const parts = [];
  let received = 0;
  for (const reader = response.body.getReader(); ;) {
    const {done, value} = await reader.read();
    if (done) break;
    parts.push(value);
    received += value.length;
    // What is sent compressed is longer than its header says.
    if (expected) onProgress(Math.min(1, received / expected));
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}
