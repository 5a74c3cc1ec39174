// Opens a page in headless Chromium; test_evaluation_page.py looks at what it then holds.
//
//     node dump_session.js REQUEST.json
//
// REQUEST.json, beside what session_tools.js needs: {"url": the page's}. Prints its HTML, as JSON.

'use strict';
const {request, open, run} = require('./session_tools.js');

run(async (browser) => {
  const page = await open(browser);
  await page.goto(request.url);
  return page.content();
}, '--disable-gpu');
