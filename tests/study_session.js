// People's sessions with a perceptual study in headless Chromium; test_perceptual_study.py looks
// at what they saw and saved.
//
//     node study_session.js REQUEST.json
//
// REQUEST.json, beside what session_tools.js needs: {"long": address of a study of 2 + 2 pairs,
//   "short": of one of 1 + 2, "broken": of one that lacks pictures, "folder": where to put downloads}.
// Prints a JSON object, one entry a session.

'use strict';
const path = require('path');
const tools = require('./session_tools.js');
const {request} = tools;

// Runs in the page: writes down when each picture appears and disappears, without asking the page.
function watch() {
  window.seen = [];
  const since = new Map();
  new MutationObserver((changes) => {
    for (const {target: picture} of changes) {
      if (picture.tagName !== 'IMG') continue;
      const isVisible = getComputedStyle(picture).visibility === 'visible';
      if (isVisible && !since.has(picture)) {
        since.set(picture, {start: performance.now(), frame: picture.parentElement.id,
          width: picture.getBoundingClientRect().width});
      } else if (!isVisible && since.has(picture)) {
        const {start, frame, width} = since.get(picture);
        window.seen.push({file: picture.getAttribute('src'), frame, width,
          pixels: picture.naturalWidth, ms: performance.now() - start});
        since.delete(picture);
      }
    }
  }).observe(document, {subtree: true, attributeFilter: ['style']});
}

async function open(browser, options, report) {
  const page = await tools.open(browser, options, report);
  await page.addInitScript(watch);
  return page;
}

// Which picture of the trial on the screen is fake, by the files that the page was given.
function fakeOf(page) {
  return page.evaluate(() => {
    const fakes = new Set(DESCRIPTION.algorithms.flatMap((one) => one.fakes));
    const file = document.querySelector('#first-frame img').getAttribute('src');
    return fakes.has(file.split('/')[1]) ? 'first' : 'second';
  });
}

async function untilAsked(page, title) {
  await page.getByRole('heading', {name: title, exact: true}).waitFor();
  await page.getByText('Which picture was fake?').waitFor();
}

const focused = (page) => page.evaluate(() => {
  const {outlineStyle, outlineWidth} = getComputedStyle(document.activeElement);
  return {id: document.activeElement.id, outline: `${outlineStyle} ${outlineWidth}`};
});

const overflow = (page) => page.evaluate(() => ({
  sideways: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  down: document.documentElement.scrollHeight - document.documentElement.clientHeight,
}));

// Saves the answers by `press`, which has to press the button; returns the file's name.
async function save(page, name, press) {
  const [download] = await Promise.all([page.waitForEvent('download'), press()]);
  await download.saveAs(path.join(request.folder, name));
  return download.suggestedFilename();
}

// From the first screen to the file, without a mouse.
async function byKeyboard(browser, report) {
  const page = await open(browser, {viewport: {width: 1100, height: 900}}, report);
  const moments = {focus: [], feedback: [], fakes: []};
  await page.goto(`${request.long}?seed=7&algorithm=good`);
  await page.locator('#start:enabled').waitFor();
  moments.intro = await page.locator('#intro').innerText();
  moments.tree = await page.locator('body').ariaSnapshot();
  await page.keyboard.press('Tab');
  moments.focus.push(await focused(page));
  await page.keyboard.press('Enter');
  const titles = ['Practice 1 of 2', 'Practice 2 of 2', 'Pair 1 of 2', 'Pair 2 of 2'];
  for (const [number, title] of titles.entries()) {
    const isPractice = number < 2;
    await page.getByRole('heading', {name: title, exact: true}).waitFor();
    // A key may answer neither before the question nor by being held until then.
    if (number === 1) await page.keyboard.down('1');
    await untilAsked(page, title);
    moments.focus.push(await focused(page));
    if (number === 1) {
      await page.keyboard.down('1');  // Its repetition.
      await page.keyboard.up('1');
      moments.isStillAsked = await page.locator('#question').isVisible();
    }
    const fake = await fakeOf(page);
    moments.fakes.push(fake);
    // Right and wrong in practice; then wrong, right: fooled once.
    const isRight = [true, false, false, true][number];
    const position = isRight ? fake : fake === 'first' ? 'second' : 'first';
    if (number === 3) {
      await page.keyboard.press('Tab');
      if (position === 'second') await page.keyboard.press('Tab');
      moments.focus.push({...await focused(page), expected: `answer-${position}`});
      await page.keyboard.press('Space');
    } else {
      const keys = {first: ['1', 'ArrowLeft'], second: ['2', 'ArrowRight']}[position];
      await page.keyboard.press(keys[number % 2]);
    }
    if (isPractice) {
      await page.locator('#feedback').waitFor();
      moments.feedback.push({
        fake,
        text: await page.locator('#feedback-text').innerText(),
        captions: await page.locator('figcaption').allInnerTexts(),
        shown: await page.locator('.frame img').evaluateAll(
          (all) => all.map((one) => getComputedStyle(one).visibility)),
      });
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
    }
    if (number === 1) {
      await page.getByRole('heading', {name: 'The practice is over'}).waitFor();
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
    }
    if (number === 2) moments.captions = await page.locator('figcaption').allInnerTexts();
  }
  await page.getByRole('heading', {name: 'That was all. Thank you!'}).waitFor();
  moments.seen = await page.evaluate(() => window.seen);
  await page.keyboard.press('Tab');
  moments.name = await save(page, 'keyboard.json', () => page.keyboard.press('Enter'));
  await save(page, 'keyboard_again.json', () => page.locator('#download').click());
  moments.text = await page.locator('#text').inputValue();
  await page.context().close();
  return moments;
}

// By touch, on a small screen; stops for good during the second trial that counts.
async function onPhone(browser, report) {
  const page = await open(
    browser, {viewport: {width: 390, height: 844}, hasTouch: true, isMobile: true}, report);
  const moments = {overflow: []};
  await page.goto(`${request.short}?seed=7`);
  moments.overflow.push(await overflow(page));
  await page.locator('#start').tap();
  await untilAsked(page, 'Practice 1 of 1');
  moments.overflow.push(await overflow(page));
  await page.getByRole('button', {name: 'The first'}).tap();
  await page.getByRole('button', {name: 'Next pair'}).tap();
  await page.getByRole('button', {name: 'Go on'}).tap();
  await untilAsked(page, 'Pair 1 of 2');
  await page.getByRole('button', {name: 'The second'}).tap();
  await untilAsked(page, 'Pair 2 of 2');
  await page.getByRole('button', {name: 'Pause'}).tap();
  await page.getByRole('button', {name: 'Stop for good'}).tap();
  moments.end = await page.locator('#end-title').innerText();
  await save(page, 'stopped.json', () => page.locator('#download').tap());
  await page.context().close();
  return moments;
}

// Another tab comes to the front while a picture is shown; a pause; then the window is closed.
async function interrupted(browser, report) {
  const page = await open(browser, {}, report);
  const moments = {};
  const hide = (isHidden) => page.evaluate((value) => {
    Object.defineProperty(document, 'hidden', {value, configurable: true});
    document.dispatchEvent(new Event('visibilitychange'));
  }, isHidden);
  await page.goto(`${request.short}?algorithm=bad`);
  // At once when the first picture appears: waiting from here could miss it.
  await page.evaluate(() => {
    const observer = new MutationObserver(() => {
      const picture = document.querySelector('#first-frame img');
      if (!picture || picture.style.visibility !== 'visible') return;
      observer.disconnect();
      Object.defineProperty(document, 'hidden', {value: true, configurable: true});
      document.dispatchEvent(new Event('visibilitychange'));
      window.visibleBehind = picture.style.visibility === 'visible';
    });
    observer.observe(document.body, {subtree: true, attributeFilter: ['style']});
  });
  await page.locator('#start').click();
  await page.waitForFunction(() => window.visibleBehind !== undefined);
  moments.visibleBehind = await page.evaluate(() => window.visibleBehind);
  await hide(false);
  await page.getByRole('heading', {name: 'Paused'}).waitFor();
  moments.paused = await page.locator('#paused-text').innerText();
  const first = await page.locator('#first-frame img').getAttribute('src');
  await page.getByRole('button', {name: 'Continue'}).click();
  await untilAsked(page, 'Practice 1 of 1');
  moments.isSamePair = first === await page.locator('#first-frame img').getAttribute('src');
  await page.keyboard.press('1');
  await page.getByRole('button', {name: 'Next pair'}).click();
  await page.getByRole('button', {name: 'Go on'}).click();
  await page.getByRole('button', {name: 'Pause'}).click();  // Before the first picture.
  await page.getByRole('button', {name: 'Continue'}).click();
  await untilAsked(page, 'Pair 1 of 2');
  await page.getByRole('button', {name: 'Pause'}).click();
  moments.pausedAtQuestion = await page.locator('#paused-text').innerText();
  await page.getByRole('button', {name: 'Continue'}).click();
  await page.getByRole('button', {name: 'The first'}).click();
  await untilAsked(page, 'Pair 2 of 2');
  // Left before the end: the browser asks.
  const asked = page.waitForEvent('dialog');
  await page.close({runBeforeUnload: true});
  const dialog = await asked;
  moments.warning = dialog.type();
  await dialog.dismiss();
  await page.getByRole('button', {name: 'The second'}).click();
  await page.locator('#end').waitFor();
  await save(page, 'interrupted.json', () => page.locator('#download').click());
  await page.close({runBeforeUnload: true});  // Saved: nothing to ask.
  await page.context().close();
  return moments;
}

// What the page says where a session cannot start.
async function refused(browser, address) {
  const page = await open(browser);
  await page.goto(address);
  await page.locator('#message:not([hidden])').waitFor();
  const text = await page.textContent('#message');
  const canStart = await page.locator('#start').isEnabled();
  await page.context().close();
  return {text, canStart};
}

async function everything(browser) {
  const report = {requests: [], errors: []};
  // Most of a session is waiting for pictures, so that the long one runs beside the others; of
  // these one at a time, since its times are looked at.
  const [keyboard, short, refusals] = await Promise.all([
    byKeyboard(browser, report),
    (async () => ({
      phone: await onPhone(browser, report),
      interruption: await interrupted(browser, report),
    }))(),
    (async () => [
      await refused(browser, request.broken),
      await refused(browser, `${request.short}?algorithm=none`),
      await refused(browser, `${request.short}?seed=4294967296`),
    ])(),
  ]);
  return {keyboard, refusals, ...short, ...report};
}

tools.run(everything, '--disable-gpu');
