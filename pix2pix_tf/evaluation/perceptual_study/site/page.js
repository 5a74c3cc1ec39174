// The page: one session from the first screen to the saved file.
'use strict';

// Milliseconds, as on the authors' page: before the first picture, and between the two.
const LEAD_IN = 900, BETWEEN = 600;
const CLOCK_TOLERANCE = 4;  // Milliseconds by which a frame may come early and still count.

const $ = (id) => document.getElementById(id);
const SCREENS = ['intro', 'trial', 'paused', 'practised', 'end'];

class Interrupted extends Error {}

// The one session of this page.
const state = {
  plan: null,
  pictures: new Map(),  // Decoded, by the name of the file.
  answered: [],
  isPresenting: false,  // From the beginning of a trial until its question.
  isInterrupted: false,
  isSeen: false,  // Whether a picture of this presentation has become visible.
  text: null,  // Of the file, once there is one.
};

// Shows one screen, and puts the focus on its heading, where a screen reader goes on.
function show(screen) {
  for (const id of SCREENS) $(id).hidden = id !== screen;
  $(`${screen}-title`).focus();
}

function say(text) {
  $('status').textContent = text;
}

function fail(text) {
  $('message').textContent = text;
  $('message').hidden = false;
  $('start').disabled = true;
}

function pressed(...ids) {
  return new Promise((resolve) => {
    const press = (event) => {
      for (const id of ids) $(id).removeEventListener('click', press);
      resolve(event.currentTarget.id);
    };
    for (const id of ids) $(id).addEventListener('click', press);
  });
}

// Waits for `duration` milliseconds of frames that the screen draws. Calls `begin` in the first
// of them and `finish` in the frame after the last; returns the time between these two.
function frames(duration, begin = () => {}, finish = () => {}) {
  return new Promise((resolve, reject) => {
    let start = null;
    const frame = (now) => {
      if (state.isInterrupted) {
        finish();
        reject(new Interrupted());
      } else if (start === null) {
        start = now;
        begin();
        requestAnimationFrame(frame);
      } else if (now - start < duration - CLOCK_TOLERANCE) {
        requestAnimationFrame(frame);
      } else {
        finish();
        resolve(Math.round(now - start));
      }
    };
    requestAnimationFrame(frame);
  });
}

function hidePictures() {
  for (const picture of document.querySelectorAll('.frame img')) {
    picture.style.visibility = 'hidden';
  }
}

// Puts the two pictures of a trial into their frames, not visible yet.
async function place(trial) {
  hidePictures();  // Those of the feedback on the trial before.
  for (const [index, position] of POSITIONS.entries()) {
    const picture = state.pictures.get(trial.files[index]);
    picture.alt = `The ${position} picture`;
    picture.style.visibility = 'hidden';
    $(`${position}-frame`).replaceChildren(picture);
    $(`${position}-truth`).textContent = '';
    await picture.decode();
  }
}

// Shows both pictures of a trial, one after the other; returns how long each was visible.
async function present(trial) {
  state.isInterrupted = false;
  state.isSeen = false;
  state.isPresenting = true;
  try {
    await place(trial);
    const shown = [];
    for (const [index, position] of POSITIONS.entries()) {
      await frames(index === 0 ? LEAD_IN : BETWEEN);
      const {style} = state.pictures.get(trial.files[index]);
      say(`The ${position} picture.`);
      shown.push(await frames(DESCRIPTION.exposure_ms,
        () => { style.visibility = 'visible'; state.isSeen = true; },
        () => { style.visibility = 'hidden'; }));
    }
    return shown;
  } finally {
    state.isPresenting = false;
  }
}

// Waits on the screen between; returns whether to go on.
async function rest(text) {
  say('');
  $('paused-text').textContent = text;
  show('paused');
  return await pressed('continue', 'stop') === 'continue';
}

function ask(isAsking) {
  // Its room is kept, so that nothing moves while the pictures are shown.
  $('question').style.visibility = isAsking ? 'visible' : 'hidden';
}

// Runs a trial; returns what the file says of it, or null if the session was stopped.
async function runTrial(trial, title) {
  let shown = null, interruptions = 0;  // Those after which a picture is seen a second time.
  $('trial-title').textContent = title;
  $('feedback').hidden = true;
  $('pause').hidden = false;
  ask(false);
  show('trial');
  while (!shown) {
    say(`${title}. Watch the pictures.`);
    try {
      shown = await present(trial);
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error;
      if (state.isSeen) interruptions += 1;
      if (!await rest('This pair was not shown to the end. It will be shown again.')) return null;
      show('trial');
    }
  }
  say('');
  const asked = performance.now();
  let answer = null;
  while (!answer) {
    ask(true);
    $('question-title').focus();
    const button = await pressed('answer-first', 'answer-second', 'pause');
    ask(false);
    if (button === 'pause') {
      if (!await rest('You have seen both pictures of this pair; the question is next.')) return null;
      show('trial');
    } else {
      answer = button === 'answer-first' ? 'first' : 'second';
    }
  }
  const {practice, pair, real, fake} = trial;
  const reaction = Math.round(performance.now() - asked);
  if (practice) await giveFeedback(trial, answer);
  return {practice, pair, real, fake, answer, reaction_ms: reaction, shown_ms: shown, interruptions};
}

// Tells whether an answer was right, with both pictures, until the next pair is asked for.
async function giveFeedback(trial, answer) {
  for (const position of POSITIONS) {
    $(`${position}-truth`).textContent = position === trial.fake ? ': fake' : ': real';
  }
  for (const file of trial.files) state.pictures.get(file).style.visibility = 'visible';
  $('feedback-text').textContent = (answer === trial.fake ? 'Right: ' : 'Wrong: ') +
    `the ${trial.fake} picture was fake.`;
  $('pause').hidden = true;
  $('feedback').hidden = false;
  $('feedback-text').focus();
  await pressed('next');
}

// Runs the trials; returns whether all were answered.
async function runTrials() {
  const {num_practice: numPractice, num_trials: numTrials} = DESCRIPTION;
  for (const [number, trial] of state.plan.trials.entries()) {
    if (number === numPractice && numPractice > 0) {
      show('practised');
      await pressed('go-on');
    }
    const title = trial.practice ? `Practice ${number + 1} of ${numPractice}` :
      `Pair ${number - numPractice + 1} of ${numTrials}`;
    const answered = await runTrial(trial, title);
    if (!answered) return false;
    state.answered.push(answered);
  }
  return true;
}

function newSessionId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

// Offers the file. It is made once, so that saving again gives the same session.
function finish(isComplete) {
  const id = newSessionId();
  state.text = writeAnswers({
    id,
    study: DESCRIPTION.study,
    algorithm: state.plan.algorithm,
    seed: state.plan.seed,
    pairing: DESCRIPTION.pairing,
    exposure_ms: DESCRIPTION.exposure_ms,
    num_practice: DESCRIPTION.num_practice,
    num_trials: DESCRIPTION.num_trials,
    complete: isComplete,
    trials: state.answered,
  });
  $('end-title').textContent = isComplete ? 'That was all. Thank you!' : 'You have stopped.';
  $('text').value = state.text;
  say('');
  show('end');
  $('download').addEventListener('click', () => {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([state.text], {type: 'application/json'}));
    link.download = `answers_${id.slice(0, 12)}.json`;
    link.click();
    window.removeEventListener('beforeunload', warn);
    say(`Saved as ${link.download}. You can close this page.`);
  });
}

function warn(event) {
  event.preventDefault();
  event.returnValue = '';  // Older browsers ask for this one.
}

function interrupt() {
  if (!state.isPresenting) return;
  state.isInterrupted = true;
  hidePictures();
}

// Loads one picture. `decode` says whether it is one, which `complete` does not.
async function load(file) {
  const picture = new Image();
  picture.decoding = 'sync';  // A frame that shows it waits for its pixels.
  picture.src = `pictures/${file}`;
  try {
    await picture.decode();
  } catch {
    throw new Error(`pictures/${file} could not be loaded`);
  }
  state.pictures.set(file, picture);
  $('loading').value += 1;
}

// Returns what the address asks for: ?seed=NUMBER, ?algorithm=NAME.
function readAddress() {
  const parameters = new URLSearchParams(location.search);
  const names = DESCRIPTION.algorithms.map((one) => one.name);
  const algorithm = parameters.get('algorithm');
  if (algorithm !== null && !names.includes(algorithm)) {
    throw new Error(`the address asks for an algorithm '${algorithm}', which is not in this study`);
  }
  const text = parameters.get('seed');
  if (text !== null && (!/^\d{1,10}$/.test(text) || Number(text) >= 2 ** 32)) {
    throw new Error(`the seed in the address is '${text}', and not a number below 4294967296`);
  }
  const seed = text === null ? crypto.getRandomValues(new Uint32Array(1))[0] : Number(text);
  return {algorithm, seed};
}

function describeTask() {
  const {num_practice: numPractice, num_trials: numTrials, exposure_ms: exposure} = DESCRIPTION;
  const seconds = exposure / 1000;
  $('exposure').textContent = seconds === 1 ? '1 second' : `${seconds} seconds`;
  const pairs = (count) => count === 1 ? '1 pair' : `${count} pairs`;
  // Five seconds a pair: what is shown, and some to answer.
  const minutes = Math.ceil((numPractice + numTrials) * (5 + 2 * (seconds - 1)) / 60);
  const practice = numPractice ?
    `First come ${pairs(numPractice)} to practise, where you are told whether you were right. Then ` :
    'There ';
  $('plan').textContent = practice + (numTrials === 1 ? 'comes ' : numPractice ? 'come ' : 'are ') +
    `${pairs(numTrials)}${numPractice ? ' without' : ', and you are not told whether you were right'}. ` +
    `It takes about ${minutes === 1 ? 'a minute' : `${minutes} minutes`}.`;
  $('notice').textContent = DESCRIPTION.notice;
  $('notice').hidden = !DESCRIPTION.notice;
}

async function main() {
  describeTask();
  $('intro').hidden = false;
  try {
    const {algorithm, seed} = readAddress();
    state.plan = planSession(DESCRIPTION, seed, algorithm);
    const names = state.plan.trials.flatMap((trial) => trial.files);
    $('loading').max = names.length;
    await Promise.all(names.map(load));
  } catch (error) {
    fail(`This session cannot start: ${error.message}. Tell the person who asked you to take part.`);
    return;
  }
  $('start').disabled = false;
  say('All pictures are loaded.');
  await pressed('start');
  window.addEventListener('beforeunload', warn);
  finish(await runTrials());
}

document.addEventListener('visibilitychange', () => { if (document.hidden) interrupt(); });
$('pause').addEventListener('click', interrupt);
// Does nothing but while there is a question: nobody listens to its buttons at other times.
document.addEventListener('keydown', (event) => {
  if (event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
  const keys = {1: 'first', ArrowLeft: 'first', 2: 'second', ArrowRight: 'second'};
  if (keys[event.key]) $(`answer-${keys[event.key]}`).click();
});
main().catch((error) => fail(`This page has failed: ${error.message}`));
