// Runs before the page's own scripts, in the page's world: takes away what would stop a page, leave it for the empty page that was
// there before it, open another one, or go round the proxy.
(() => {
  const nothing = (value) => () => value;
  window.alert = window.print = window.stop = nothing(undefined);
  History.prototype.back = History.prototype.forward = History.prototype.go = nothing(undefined);
  window.confirm = nothing(false);
  window.prompt = window.open = nothing(null);
  for (const name of ["RTCPeerConnection", "webkitRTCPeerConnection", "WebTransport"]) delete window[name];
})();
