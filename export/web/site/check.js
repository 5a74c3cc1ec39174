// Says what a browser lacks, in words old browsers understand; app.js is not loaded by those.
'use strict';
(function () {
  var missing = null;
  if (location.protocol === 'file:') {
    missing = 'Browsers do not let a page opened from a file read its model. Serve the folder, ' +
      'for example with "python3 -m http.server --bind 127.0.0.1", and open http://localhost:8000.';
  } else if (!window.Worker || !window.WebAssembly || !window.Promise || !window.fetch ||
      !window.CSS || !CSS.supports('aspect-ratio', '1')) {
    // The last is the youngest of what the page uses: a browser that has it has the rest.
    missing = 'This browser is too old for this page. Chrome or Edge 91, Firefox 114, Safari 16.4 and ' +
      'all later ones can run it; where they are as new, WebAssembly is switched off.';
  }
  window.pix2pixMissing = missing;
  if (missing) {
    var message = document.getElementById('message');
    message.textContent = missing;
    message.hidden = false;
    document.getElementById('main').hidden = true;
  }
})();
