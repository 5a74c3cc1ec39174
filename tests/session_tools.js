// What sessions with pages in headless Chromium share. They are called with a file of JSON:
// {"playwright": folder of playwright-core, "chromium": program, and what the session asks for}.

'use strict';
const fs = require('fs');
const request = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const {chromium} = require(request.playwright);
const {launch} = require('../export/browser/runner/browser.js');

const TIMEOUT = 120000;  // Milliseconds; the machine may be busy with other tests.

// Opens a page, and notes in `seen` what it asks for and what goes wrong on it.
async function open(browser, options = {}, seen = {requests: [], errors: []}) {
  const context = await browser.newContext({acceptDownloads: true, ...options});
  const page = await context.newPage();
  page.setDefaultTimeout(TIMEOUT);
  page.on('request', (made) => seen.requests.push(made.url()));
  page.on('pageerror', (error) => seen.errors.push(error.message));
  page.on('console', (line) => line.type() === 'error' && seen.errors.push(line.text()));
  return page;
}

// Starts a browser and prints what `session` returns, as a line of JSON.
async function run(session, ...flags) {
  const browser = await launch(chromium, {executablePath: request.chromium, args: flags});
  try {
    console.log(JSON.stringify(await session(browser)));
  } finally {
    await browser.close();
  }
}

module.exports = {
  request,
  open,
  run: (...given) => run(...given).then(() => process.exit(0), (error) => {
    console.error(error.message);
    process.exit(1);
  }),
};
