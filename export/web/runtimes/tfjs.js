// Runs the model in TF.js, for worker.js, whose `withoutGpu` and `isSoftware` it calls.

'use strict';

importScripts('vendor/tf.js', 'vendor/tf-backend-wasm.js', 'vendor/tf-backend-webgpu.js');

const runtime = {
  name: 'TF.js',
  model: null,

  // What may be tried, the fastest first; each answers with a reason not to use it here, or null.
  objections: {
    webgpu: withoutGpu,
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
  },

  // Loads the model on a backend, and returns what to say of the backend.
  async load(backend, {url}, onProgress) {
    tf.wasm.setWasmPaths('vendor/');
    // TF.js' threads are slower than its one thread, where a site may have them at all.
    tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
    if (!(await tf.setBackend(backend))) throw new Error('it did not start');
    await tf.ready();
    if (backend === 'webgl' && !tf.env().getBool('WEBGL_RENDER_FLOAT32_ENABLED')) {
      throw new Error('its numbers have 16 bits, too few for the normalisation');
    }
    this.model = await tf.loadGraphModel(url, {onProgress});
    return backend;
  },

  // Returns the values of the output.
  // image, z: {values, shape}.
  async run(image, z) {
    const output = tf.tidy(() => this.model.execute(
      {image: tf.tensor(image.values, image.shape), z: tf.tensor(z.values, z.shape)}, 'output'));
    try {
      return await output.data();
    } finally {
      output.dispose();
    }
  },

  // Frees the weights, which belong to the backend that they were loaded on.
  forget() {
    if (this.model) this.model.dispose();
    this.model = null;
  },
};
