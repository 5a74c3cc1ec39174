// Starts headless Chromium by Playwright, in its sandbox where that works.

'use strict';

// chromium: Playwright's. options: of its launch().
async function launch(chromium, options) {
  const isRoot = process.getuid() === 0;  // As root Chromium starts without its sandbox alone.
  try {
    return await chromium.launch({...options, chromiumSandbox: !isRoot});
  } catch (error) {
    if (isRoot || !error.message.includes('sandboxing failed')) throw error;
    // Many containers forbid what a sandbox is made of; all pages are this project's own.
    console.error('Chromium runs without its sandbox, which this system does not allow.');
    return chromium.launch({...options, chromiumSandbox: false});
  }
}

module.exports = {launch};
