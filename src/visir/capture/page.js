// What visir does inside a page before and while it is captured. It runs in a world of its own: it shares the page's document,
// not its variables, so no page can break it by redefining built-ins. web.py calls settle, still, survey and then tile for each tile.
(() => {
  "use strict";

  const UNSPACED = /[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{3ffff}]/u;
  const MOST_WORDS = 20000;
  const STEPS = 40;
  const CHUNK = 2000;

  const STILL = `
    *, *::before, *::after {
      transition: none !important; caret-color: transparent !important; scroll-behavior: auto !important;
      scroll-snap-type: none !important; background-attachment: scroll !important; overflow-anchor: none !important;
    }`;

  // The roots of the common consent managers. Only names that belong to one of them: ".cookies" may be a recipe.
  const CONSENT = `#onetrust-consent-sdk, #onetrust-banner-sdk, #CybotCookiebotDialog, #CybotCookiebotDialogBodyUnderlay, #cookiebanner.cookiebot,
    #usercentrics-root, #usercentrics-cmp-ui, #uc-banner-modal, .qc-cmp2-container, #qc-cmp2-container, .qc-cmp-cleanslate, #didomi-host,
    #didomi-popup, #didomi-notice, #truste-consent-track, .truste_overlay, .truste_box_overlay, #consent_blackbar, #trustarc-banner-overlay,
    .osano-cm-window, .cc-window.cc-banner, .cc-window.cc-floating, #cc-main, #cookieconsent, #cookie-law-info-bar, #cookie-notice.cn-position-bottom,
    #cookie-notice.cn-position-top, .cli-modal-backdrop, .cky-consent-container, .cky-overlay, .cky-modal, #cmplz-cookiebanner-container,
    .cmplz-cookiebanner, #BorlabsCookieBox, #BorlabsCookieBoxWrap, [id^="sp_message_container"], #cmpbox, #cmpbox2, #cmpwrapper,
    #iubenda-cs-banner, .iubenda-cs-container, #axeptio_overlay, #tarteaucitronRoot, #klaro, .klaro .cookie-notice, .klaro .cookie-modal,
    #termly-code-snippet-support, #hs-eu-cookie-confirmation, #gdpr-cookie-message, .moove-gdpr-info-bar-container, #moove_gdpr_cookie_info_bar,
    .fc-consent-root, #ez-cookie-dialog-wrapper, #shopify-pc__banner, #ccc, #ccc-overlay, #CookieReportsPanel, .wt-cli-cookie-bar-container,
    #ketch-banner, #transcend-consent-manager, #consent-manager-root, .evidon-banner, #_evidon_banner, #sd-cmp, .cmp-root-container,
    #cookiescript_injected, #cookiescript_injected_wrapper, #cookieChoiceInfo, #cookie-script-banner, #pandectes-banner`;

  const ABOUT = /cookie|consent|gdpr|rgpd|dsgvo|datenschutz|einwilligung|traceurs|confidentialité|consentement|galletas|privacidad|consentimiento|privacy|riservatezza|toestemming|samtycke|samtykke|evästee|ciasteczk|prywatnoś|souhlas|soukromí|sütik|çerez|куки|конфиденциальност|クッキー|プライバシー|隐私|隱私|쿠키|개인정보|ملفات تعريف الارتباط|עוגיות/iu;
  const ANSWER = /^\W*(yes|ok(ay)?|got it|i (understand|accept|agree)|accept|agree|allow|reject|decline|refuse|deny|dismiss|continue|only necessary|necessary only|essential only|manage|customi[sz]e|preferences|(cookie )?settings|ja|alle|akzeptier|zustimm|einverstanden|ablehn|nur notwendig|verstanden|j['’]accepte|accepte|tout accepter|refuse|continuer sans|d['’]accord|acept|rechaz|entendido|permitir|accett|rifiut|ho capito|aceit|rejeit|recus|akkoord|accepteer|weiger|godkänn|acceptera|tillåt|avvisa|godta|tillad|accepter|afvis|hyväksy|hylkää|akcept|zgadzam|odrzu|souhlas|přijm|odmítn|elfogad|elutasít|kabul|reddet|accept[aă]|приня|соглас|отклон|хорошо|同意|承諾|許可|拒否|接受|允许|拒绝|允許|拒絕|동의|수락|거부|موافق|قبول|أوافق|אישור|מאשר)/iu;

  const pause = (ms) => new Promise((done) => setTimeout(done, ms));
  const within = (promise, end) => Promise.race([promise, pause(Math.max(0, end - performance.now()))]);
  const root = () => document.scrollingElement || document.documentElement;
  const force = (element, rules) => {
    for (const [name, value] of Object.entries(rules)) element.style?.setProperty(name, value, "important");
  };

  /** Every element of the document, those in open shadow roots too. */
  function* elements(top = document.documentElement) {
    const walker = document.createTreeWalker(top, NodeFilter.SHOW_ELEMENT);
    for (let node = walker.currentNode; node; node = walker.nextNode()) {
      if (node.nodeType === Node.ELEMENT_NODE) yield node;
      if (node.shadowRoot) yield* elements(node.shadowRoot);
    }
  }

  // ---- waiting

  /** Whether the page may still change after it was loaded. */
  const alive = () => document.querySelector("script, iframe, frame, [onload]") !== null;

  function eager() {
    for (const item of document.querySelectorAll("img, iframe")) {
      if (item.loading === "lazy") item.loading = "eager";
      if (item.localName === "img") {
        item.decoding = "sync";
        if (!item.getAttribute("src") && !item.srcset && item.dataset.src) item.src = item.dataset.src;
      }
    }
  }

  async function scrollThrough(end) {
    let top = 0;
    for (let step = 0; step < STEPS && top < root().scrollHeight && performance.now() < end; step++) {
      window.scrollTo({ top, behavior: "instant" });
      await pause(40);
      top += Math.max(innerHeight * 0.9, root().scrollHeight / STEPS);
    }
  }

  async function pictures(end) {
    while (performance.now() < end && ![...document.images].every((image) => image.complete)) await pause(25);
  }

  /** Wait until nothing was loaded and no node changed for `calm` milliseconds. */
  async function quiet(calm, end) {
    let last = performance.now();
    const touch = () => { last = performance.now(); };
    const nodes = new MutationObserver(touch);
    const loads = new PerformanceObserver(touch);
    nodes.observe(document, { subtree: true, childList: true, characterData: true });
    loads.observe({ type: "resource" });
    while (performance.now() < end && performance.now() - last < calm) await pause(25);
    nodes.disconnect();
    loads.disconnect();
  }

  /** Bring the page to what a patient reader would have seen of it, within `budget` milliseconds. */
  async function settle(budget) {
    const end = performance.now() + budget;
    void document.documentElement.getBoundingClientRect();
    if (document.fonts) await within(document.fonts.ready, end);
    eager();
    hideConsent();
    if (alive()) {
      await scrollThrough(performance.now() + budget / 2);
      window.scrollTo({ top: 0, behavior: "instant" });
      eager();
      await quiet(150, Math.min(end, performance.now() + 1500));
    }
    await pictures(end);
    hideConsent();
  }

  // ---- consent banners

  function buttons(element) {
    const found = [];
    for (const item of elements(element)) {
      if (item.matches("button, a, [role=button], input[type=button], input[type=submit]")) found.push((item.value || item.textContent || "").trim());
    }
    return found.filter((label) => label.length < 60);
  }

  function asksConsent(element, style) {
    const dialog = element.matches("dialog[open], [role=dialog], [role=alertdialog], [aria-modal=true]");
    const floats = style.position === "fixed" || style.position === "sticky" || (style.position === "absolute" && Number(style.zIndex) >= 100);
    if (!dialog && !floats) return false;
    // A page may hold its whole content in a fixed box or a dialog: what holds the article is not a banner.
    if (element === document.body || element.querySelector("main, article, [role=main], h1 ~ p ~ p ~ p") || element.closest("main article, article")) return false;
    const text = (element.innerText || "") + [...elements(element)].map((item) => item.shadowRoot?.textContent || "").join(" ");
    if (text.length < 20 || text.length > 5000 || !ABOUT.test(text)) return false;
    return buttons(element).some((label) => ANSWER.test(label));
  }

  function hideConsent() {
    if (!document.body) return;
    const hidden = new Set(document.querySelectorAll(CONSENT));
    for (const element of elements(document.body)) {
      if (!hidden.has(element) && asksConsent(element, getComputedStyle(element))) hidden.add(element);
    }
    for (const element of hidden) force(element, { display: "none" });
    if (hidden.size) hideBackdrops();
    unlock();
  }

  /** The grey sheet that lay under a banner: covers the window and holds nothing. */
  function hideBackdrops() {
    for (const element of document.body.querySelectorAll("div, span, section")) {
      if (element.childElementCount > 2 || element.textContent.trim() || getComputedStyle(element).position !== "fixed") continue;
      const box = element.getBoundingClientRect();
      if (box.width >= innerWidth * 0.95 && box.height >= innerHeight * 0.95 && !element.querySelector("img, canvas, video, svg, iframe")) {
        force(element, { display: "none" });
      }
    }
  }

  /** Banners lock the scrolling of the page behind them. */
  function unlock() {
    for (const element of [document.documentElement, document.body]) {
      const style = getComputedStyle(element);
      if (style.overflowY === "hidden" || style.overflowY === "clip") force(element, { "overflow-x": "clip", "overflow-y": "visible" });
      if (style.position === "fixed") force(element, { position: "static", width: "auto" });
    }
  }

  // ---- holding still

  function stopMotion() {
    for (const motion of document.getAnimations()) {
      try {
        // What moves with the scroll position or for ever goes back to the state without it; what ends is brought to its end.
        if (motion.timeline !== document.timeline || motion.effect.getComputedTiming().endTime === Infinity) motion.cancel();
        else motion.finish();
      } catch { motion.cancel(); }
    }
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STILL);
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    for (const element of elements()) {
      if (element.shadowRoot) element.shadowRoot.adoptedStyleSheets = [...element.shadowRoot.adoptedStyleSheets, sheet];
      if (element instanceof HTMLMediaElement) { element.autoplay = false; element.pause(); }
      if (element instanceof SVGSVGElement && !element.ownerSVGElement) { element.pauseAnimations(); element.setCurrentTime(3600); }
      if (getComputedStyle(element).contentVisibility === "auto") force(element, { "content-visibility": "visible" });
    }
    document.activeElement?.blur?.();
  }

  /** Pages that scroll inside one large box are made to scroll as a whole. */
  function unroll() {
    if (!document.body || root().scrollHeight > innerHeight * 1.2) return;
    for (const element of elements(document.body)) {
      if (element.clientHeight < innerHeight * 0.6 || element.clientWidth < innerWidth * 0.5 || element.scrollHeight < element.clientHeight + 50) continue;
      if (!/auto|scroll/.test(getComputedStyle(element).overflowY) || element.localName === "textarea") continue;
      element.scrollTop = 0;
      for (let box = element; box; box = box.parentElement) {
        const afloat = /fixed|absolute/.test(getComputedStyle(box).position);
        force(box, { height: "auto", "max-height": "none", overflow: "visible", ...(afloat && { position: "relative", inset: "auto" }) });
      }
      return;
    }
  }

  /** Fixed and sticky boxes stay where they are at the top of the document (or at its end), so that they show once. */
  function unpin() {
    window.scrollTo({ top: 0, behavior: "instant" });
    const fixed = [];
    const sticky = [];
    for (const element of elements()) {
      const place = getComputedStyle(element).position;
      if (place === "sticky") sticky.push(element);
      if (place === "fixed") fixed.push([element, element.getBoundingClientRect()]);
    }
    for (const element of sticky) force(element, { position: "relative", inset: "auto" });
    const end = root().scrollHeight;
    for (const [element, was] of fixed) {
      if (!was.width || !was.height) continue;
      const top = was.top > innerHeight / 2 ? was.top + end - innerHeight : was.top;
      force(element, {
        position: "absolute", right: "auto", bottom: "auto", top: `${top}px`, left: `${was.left}px`,
        width: `${was.width}px`, height: `${was.height}px`, "box-sizing": "border-box", "max-height": "none",
      });
      const now = element.getBoundingClientRect();
      force(element, { top: `${top + (top - now.top)}px`, left: `${was.left + (was.left - now.left)}px` });
    }
  }

  /** A picture file is shown whole, in its own proportions, no wider than the window. */
  function fitDrawing() {
    const drawing = document.documentElement;
    if (!(drawing instanceof SVGSVGElement)) return;
    const given = drawing.viewBox.baseVal;
    const box = drawing.getBoundingClientRect();
    const ratio = given && given.width && !drawing.getAttribute("height") ? given.height / given.width : box.height / box.width;
    if (!(given && given.width)) drawing.setAttribute("viewBox", `0 0 ${box.width} ${box.height}`);
    const width = Math.min(innerWidth, box.width || innerWidth);
    drawing.setAttribute("width", width);
    drawing.setAttribute("height", width * ratio);
  }

  /** Cut long texts into nodes of some lines: Chromium walks all lines of a node to find the place of one word. */
  function splitTexts() {
    for (const element of elements()) {
      for (let node of [...element.childNodes, ...(element.shadowRoot?.childNodes || [])]) {
        const size = Math.max(CHUNK, Math.ceil((node.length || 0) / 300));
        while (node.nodeType === Node.TEXT_NODE && node.length > 2 * size) {
          const gap = node.data.slice(size).search(/\s/);
          if (gap < 0) break;
          node = node.splitText(size + gap);
        }
      }
    }
  }

  function still() {
    splitTexts();
    stopMotion();
    fitDrawing();
    unroll();
    unpin();
  }

  // ---- reading

  let entries = [];

  const cut = (clip, box) => {
    const [left, top] = [box.left + scrollX, box.top + scrollY];
    const [right, bottom] = [left + box.width, top + box.height];
    if (!clip) return [left, top, right, bottom];
    return [Math.max(clip[0], left), Math.max(clip[1], top), Math.min(clip[2], right), Math.min(clip[3], bottom)];
  };

  /** Children as they are shown: shadow trees in place of what they cover, slots filled. */
  function shown(element) {
    if (element.shadowRoot) return element.shadowRoot.childNodes;
    if (element.localName === "details" && !element.open) return element.querySelectorAll(":scope > summary:first-of-type");
    const slotted = element.localName === "slot" && element.assignedNodes ? element.assignedNodes() : [];
    return slotted.length ? slotted : element.childNodes;
  }

  function addText(node, clip, frames) {
    const range = node.ownerDocument.createRange();
    range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    if (box.width && box.height) entries.push({ node, clip, frames, top: box.top + scrollY, bottom: box.bottom + scrollY });
  }

  const clear = (colour) => /^transparent$|^rgba\(.*, 0\)$|\/ 0\)$/.test(colour);
  const SOLID = "img, video, canvas, svg, iframe, object, embed, input, button, textarea, select, hr, progress, meter, math";

  /** Note the texts below an element that can be seen; return the lowest pixel that anything there takes. */
  function visit(element, clip, anchored, frames) {
    const view = element.ownerDocument.defaultView;
    const style = view.getComputedStyle(element);
    if (style.display === "none" || style.opacity === "0") return 0;
    const box = element.getBoundingClientRect();
    const page = element === element.ownerDocument.documentElement || element === element.ownerDocument.body;
    const place = style.position;
    if (/^rect\((0|1)px,? (0|1)px/.test(style.clip) || /^inset\((50|100)%/.test(style.clipPath)) return 0;
    let own = place === "fixed" ? null : place === "absolute" ? anchored : clip;
    if (!page && !/inline$|contents/.test(style.display) && (style.overflowX !== "visible" || style.overflowY !== "visible")) own = cut(own, box);
    const hold = place !== "static" || style.transform !== "none" ? own : anchored;
    if (style.contentVisibility === "hidden") return 0;
    const seen = style.visibility === "visible" && (style.display === "contents" || element.checkVisibility());
    const legible = seen && (!clear(style.color) || style.backgroundClip === "text" || !clear(style.webkitTextFillColor));
    const limit = own ? own[3] : Infinity;
    let low = 0;
    const leaf = !element.firstElementChild && (style.backgroundImage !== "none" || !clear(style.backgroundColor) || parseFloat(style.borderBottomWidth) > 0);
    if (seen && !page && box.width && box.height && (leaf || element.matches(SOLID))) low = box.bottom + scrollY;
    for (const child of shown(element)) {
      if (child.nodeType === Node.ELEMENT_NODE) low = Math.max(low, visit(child, own, hold, frames));
      else if (legible && child.nodeType === Node.TEXT_NODE && /\S/.test(child.data)) {
        const before = entries.length;
        addText(child, own, frames);
        if (entries.length > before) low = Math.max(low, Math.min(entries[before].bottom, limit));
      }
    }
    if (element.localName === "iframe" && seen) visitFrame(element, frames);
    return low;
  }

  function visitFrame(element, frames) {
    let inner = null;
    try { inner = element.contentDocument; } catch { /* another origin: its text is its own */ }
    if (inner?.documentElement && frames.length < 3) visit(inner.documentElement, null, null, [...frames, element]);
  }

  const DATES = `meta[property="article:published_time"], meta[name="article:published_time"], meta[name=date i], meta[name="dc.date" i],
    meta[name="dcterms.date" i], meta[name="dcterms.created" i], meta[itemprop=datePublished], meta[property="article:modified_time"],
    meta[name="last-modified" i], meta[http-equiv="last-modified" i]`;

  /** Index the page's text; tell its height in pixels, titles and dates. */
  function survey() {
    entries = [];
    const low = visit(document.documentElement, null, null, []);
    const drawing = document.documentElement instanceof SVGSVGElement;
    const whole = drawing ? Math.ceil(document.documentElement.getBoundingClientRect().height) : root().scrollHeight;
    const dates = [...document.querySelectorAll(DATES)].map((item) => item.content);
    dates.push(...[...document.querySelectorAll("time[datetime]")].slice(0, 5).map((item) => item.getAttribute("datetime")));
    return {
      height: Math.ceil(drawing || !low ? whole : Math.min(whole, low + 24)),
      width: innerWidth,
      title: document.title || document.querySelector("h1")?.textContent || "",
      dates: dates.slice(0, 20),
      broken: location.protocol === "chrome-error:" || location.href === "about:blank",
    };
  }

  /** The boxes of one word in the window: one, or one a line where a script without spaces runs over several lines. */
  function pieces(range, node, start, end) {
    range.setStart(node, start);
    range.setEnd(node, end);
    const rects = range.getClientRects();
    const text = node.data.slice(start, end);
    if (!rects.length) return [];
    if (rects.length === 1 || !UNSPACED.test(text)) return [[text, rects[0]]];
    const found = [];
    for (let at = start; at < end;) {
      const next = at + String.fromCodePoint(node.data.codePointAt(at)).length;
      range.setStart(node, at);
      range.setEnd(node, next);
      const box = range.getBoundingClientRect();
      const last = found[found.length - 1];
      if (last && Math.abs(last[1].top - box.top) < box.height / 2) {
        last[0] += node.data.slice(at, next);
        last[1] = { left: Math.min(last[1].left, box.left), top: last[1].top, right: Math.max(last[1].right, box.right), bottom: last[1].bottom };
      } else if (box.width) found.push([node.data.slice(at, next), box]);
      at = next;
    }
    return found;
  }

  /** Move a box out of the frames it lies in, or return null where they hide it. */
  function outward(box, frames) {
    let place = [box.left, box.top, box.right, box.bottom];
    for (let depth = frames.length - 1; depth >= 0; depth--) {
      const outer = frames[depth].getBoundingClientRect();
      const [x, y] = [outer.left + frames[depth].clientLeft, outer.top + frames[depth].clientTop];
      place = [place[0] + x, place[1] + y, place[2] + x, place[3] + y];
      const middle = [(place[0] + place[2]) / 2, (place[1] + place[3]) / 2];
      if (middle[0] < outer.left || middle[0] > outer.right || middle[1] < outer.top || middle[1] > outer.bottom) return null;
    }
    return place;
  }

  function inTile([left, top, right, bottom], clip, height) {
    const [x, y] = [(left + right) / 2, (top + bottom) / 2];
    if (x < 0 || x > innerWidth || right - left < 0.5 || bottom - top < 2) return false;
    if (Math.min(bottom, height) - Math.max(top, 0) < (bottom - top) / 2) return false;
    return !clip || (x + scrollX >= clip[0] && x + scrollX <= clip[2] && y + scrollY >= clip[1] && y + scrollY <= clip[3]);
  }

  /** Put a word on the line of the word before it, or into that word where nothing parts the two, or on a new line. */
  function place(lines, text, box) {
    const line = lines[lines.length - 1];
    const last = line?.[line.length - 1];
    const shared = last ? Math.min(last[4], box[3]) - Math.max(last[2], box[1]) : 0;
    if (!last || shared < Math.min(last[4] - last[2], box[3] - box[1]) / 2) lines.push([[text, ...box]]);
    else if (Math.abs(box[0] - last[3]) < 0.6 || Math.abs(last[1] - box[2]) < 0.6) {
      last[0] += text;
      last.splice(1, 4, Math.min(last[1], box[0]), Math.min(last[2], box[1]), Math.max(last[3], box[2]), Math.max(last[4], box[3]));
    } else line.push([text, ...box]);
  }

  /** Scroll to `top`; return the lines of words seen in the `height` pixels from there, boxes in pixels of the window. */
  function tile(top, height) {
    window.scrollTo({ top, left: 0, behavior: "instant" });
    const lines = [];
    let count = 0;
    for (const { node, clip, frames, ...span } of entries) {
      if (!frames.length && (span.bottom < scrollY || span.top > scrollY + height)) continue;
      const range = node.ownerDocument.createRange();
      for (const match of node.data.matchAll(/\S+/g)) {
        for (const [text, rect] of pieces(range, node, match.index, match.index + match[0].length)) {
          const box = outward(rect, frames);
          if (!box || !inTile(box, clip, height)) continue;
          place(lines, text, box);
          if (++count > MOST_WORDS) return lines;
        }
      }
    }
    return lines;
  }

  globalThis.visir = { alive, settle, still, survey, tile };
})();
