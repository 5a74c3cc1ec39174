// Says what a browser lacks, in words old browsers understand; app.js is not loaded by those.
'use strict';
(function () {
  var missing = null;
  if (location.protocol === 'file:') {
    missing = 'Browsers do not let a page opened from a file read its model. Serve the folder, ' +
      'for example with "python3 -m http.server", and open http://localhost:8000.';
  } else if (!window.Worker || !window.WebAssembly || !window.Promise || !window.fetch ||
      !('noModule' in document.createElement('script'))) {
    missing = 'This browser is too old to run the model: it lacks WebAssembly, workers or modules. ' +
      'Any Chrome, Edge, Firefox or Safari since 2021 has them.';
  }
  window.pix2pixMissing = missing;
  if (missing) {
    var message = document.getElementById('message');
    message.textContent = missing;
    message.hidden = false;
    document.getElementById('main').hidden = true;
  }
})();
