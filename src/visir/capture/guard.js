// Runs before the page's own scripts, in the page's world: takes away what would stop a page, open another one, or go round the proxy.
(() => {
  const nothing = (value) => () => value;
  window.alert = window.print = nothing(undefined);
  window.confirm = nothing(false);
  window.prompt = window.open = nothing(null);
  for (const name of ["RTCPeerConnection", "webkitRTCPeerConnection", "WebTransport"]) delete window[name];
})();
