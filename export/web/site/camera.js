// What a camera sees, frame by frame.

export class Camera {
  // take: is given each frame, a <video> to draw from, and whether it is the first; its promise is
  // waited for before the next.
  // ended: is called after the last frame, if there was one.
  constructor(take, ended) {
    this.take = take;
    this.ended = ended;
    this.turn = 0;  // Of start and stop: what a start waited for may come after a stop.
    this.video = null;
  }

  get isOn() {
    return this.video !== null;
  }

  // Asks for the camera, and gives its frames until `stop`. Throws Error with words for a person.
  async start() {
    this.stop();
    const turn = ++this.turn;
    if (!navigator.mediaDevices) {
      throw new Error('Browsers give the camera to pages from https:// or from this machine alone.');
    }
    let stream;
    try {
      // The camera at the back, where there are two.
      stream = await navigator.mediaDevices.getUserMedia({video: {facingMode: 'environment'}});
    } catch (error) {
      throw new Error({
        NotAllowedError: 'This page may not use the camera. Allow it in the browser, then try again.',
        NotFoundError: 'There is no camera.',
        NotReadableError: 'The camera is in use elsewhere.',
      }[error.name] || `The camera does not start: ${error.message}`);
    }
    const video = document.createElement('video');
    video.muted = video.playsInline = true;  // Phones show a video of its own otherwise.
    video.srcObject = stream;
    try {
      if (turn === this.turn) await video.play();
    } catch (error) {
      release(video);
      throw new Error(`The camera does not start: ${error.message}`);
    }
    if (turn !== this.turn) return release(video);
    const [track] = stream.getVideoTracks();
    track.onended = () => turn === this.turn && this.stop();  // Unplugged, or taken away.
    this.video = video;
    this.follow(video);
  }

  async follow(video) {
    for (let isFirst = true; this.video === video; isFirst = false) {
      await this.take(video, isFirst);
      await new Promise(requestAnimationFrame);  // None comes while the page is hidden.
    }
  }

  stop() {
    this.turn++;
    if (!this.video) return;
    release(this.video);
    this.video = null;
    this.ended();
  }
}

function release(video) {
  video.srcObject.getTracks().forEach((track) => track.stop());
  video.srcObject = null;
}
