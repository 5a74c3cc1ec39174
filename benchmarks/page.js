// Draws rectangles on a drawing page in headless Chromium and takes the times; see page.py.
//
//     node page.js REQUEST
//
// REQUEST is JSON: {"playwright": folder of playwright-core, "chromium": program, "url": the page's,
//   "strokes": how many, "backend": one of the page's list, or ""}.
// Prints {"opened": ms from asking for the page to its first translation, "backend": name,
//   "strokes": [ms from letting go to the translation of what is drawn], "model": [ms of it]}.

'use strict';
const request = JSON.parse(process.argv[2]);
const {chromium} = require(request.playwright);
const {launch} = require('../export/browser/runner/browser.js');

const TIMEOUT = 300000;  // Milliseconds.
// Makes Chromium imitate a GPU on the processor.
const IMITATION = ['--use-angle=swiftshader', '--enable-unsafe-swiftshader',
  '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];

// In the page: notes when the pointer is let go, and when what is drawn is what is shown.
function takeTimes() {
  const [input, output] = ['input', 'output'].map((id) => document.getElementById(id));
  window.times = [];
  let letGo = null;
  input.addEventListener('pointerup', () => { letGo = performance.now(); }, true);
  new MutationObserver(() => {
    if (letGo === null || output.dataset.change !== input.dataset.change) return;
    window.times.push([performance.now() - letGo, document.getElementById('time').textContent]);
    letGo = null;
  }).observe(output, {attributeFilter: ['data-change']});
}

async function main() {
  const browser = await launch(
    chromium, {
      executablePath: request.chromium,
      args: request.backend.startsWith('web') ? IMITATION : ['--disable-gpu'],
    });
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(TIMEOUT);
    const started = performance.now();
    await page.goto(request.url);
    await page.locator('#output[data-change]:visible, #message:visible').first().waitFor();
    const message = page.locator('#message');
    if (await message.isVisible()) throw new Error(await message.textContent());
    const opened = performance.now() - started;
    const offered = await page.locator('#backend option').evaluateAll(
      (options) => options.map((option) => option.value));
    if (request.backend && !offered.includes(request.backend)) {
      throw new Error(`it has no backend ${request.backend}, but ${offered.slice(1).join(', ')}`);
    }
    if (request.backend) {
      await page.locator('#backend').selectOption(request.backend);
      await page.locator('#loading').waitFor({state: 'hidden'});
      if (await message.isVisible()) throw new Error(await message.textContent());
    }
    await page.evaluate(takeTimes);
    const box = await page.locator('#input').boundingBox();
    const colors = page.locator('#palette button');
    for (let stroke = 0; stroke < request.strokes; stroke++) {
      await colors.nth(stroke % await colors.count()).click();
      // Another place each time: a stroke that changes nothing is none.
      const at = (share) => [box.x + share * box.width, box.y + (0.1 + 0.6 * share) * box.height];
      const left = 0.05 + 0.7 * stroke / request.strokes;
      await page.mouse.move(...at(left));
      await page.mouse.down();
      await page.mouse.move(...at(left + 0.1));
      await page.mouse.move(...at(left + 0.2));
      await page.mouse.up();
      await page.waitForFunction((count) => window.times.length > count, stroke);
    }
    const times = await page.evaluate(() => window.times);
    const [, backend] = times[0][1].split(' ms on ');
    const model = times.map(([, text]) => parseInt(text, 10));
    console.log(JSON.stringify({opened, backend, strokes: times.map(([time]) => time), model}));
  } finally {
    await browser.close();
  }
}

main().then(() => process.exit(0), (error) => {
  console.error(error.message);
  process.exit(1);
});
