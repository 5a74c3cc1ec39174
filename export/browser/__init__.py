"""Node, Chromium and the packages for them: models where a browser runs them."""
