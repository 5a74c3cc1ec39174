// What a camera sees, frame by frame.

export class Camera {
  // take: is given each frame, a <video> to draw from; its promise is waited for before the next.
  // ended: is called when no more come.
  constructor(take, ended) {
    this.take = take;
    this.ended = ended;
    this.stream = null;
  }

  // Asks for the camera, and gives its frames until `stop`. Throws Error with words for a person.
  async start() {
    if (this.isStarting) return;
    this.isStarting = true;
    try {
      await this.startOnce();
    } finally {
      this.isStarting = false;
    }
  }

  async startOnce() {
    if (!navigator.mediaDevices) {
      throw new Error('Browsers give the camera to pages from https:// or from this machine alone.');
    }
    try {
      // The camera at the back, where there are two.
      this.stream = await navigator.mediaDevices.getUserMedia({video: {facingMode: 'environment'}});
    } catch (error) {
      throw new Error({
        NotAllowedError: 'This page may not use the camera. Allow it in the browser, then try again.',
        NotFoundError: 'There is no camera.',
        NotReadableError: 'The camera is in use elsewhere.',
      }[error.name] || `The camera does not start: ${error.message}`);
    }
    const [track] = this.stream.getVideoTracks();
    track.onended = () => this.stop();  // Unplugged, or taken away.
    const video = document.createElement('video');
    video.muted = video.playsInline = true;  // Phones show a video of its own otherwise.
    video.srcObject = this.stream;
    await video.play();
    this.follow(video, this.stream);
  }

  async follow(video, stream) {
    while (this.stream === stream) {
      await this.take(video);
      await new Promise(requestAnimationFrame);  // None comes while the page is hidden.
    }
    video.srcObject = null;
  }

  get isOn() {
    return this.stream !== null;
  }

  stop() {
    if (!this.stream) return;
    this.stream.getTracks().forEach((track) => track.stop());
    this.stream = null;
    this.ended();
  }
}
