// What is asked of every page, by hand. Each check returns what is wrong, in
// words; nothing wrong is an empty list. The browser runs this, not the page,
// whose policy lets no script run.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const interactive = "a[href], button, input:not([type=hidden]), select, textarea, summary";
  const focusable = interactive + ", iframe, [tabindex]:not([tabindex='-1'])";

  const words = e => (e.textContent || "").replace(/\s+/g, " ").trim();
  const call = e => {
    const names = e.id ? "#" + e.id : (e.getAttribute("class") || "").trim().replace(/^(?=\S)|\s+/g, ".");
    const text = e.matches("html, body, main") ? "" : words(e).slice(0, 30);
    return e.tagName.toLowerCase() + names + (text ? ` "${text}"` : "");
  };
  const hidden = e => e.closest("[aria-hidden=true]") !== null;
  // There for people who see: drawn, on the page, of some size.
  const seen = e => {
    if (hidden(e) || !e.checkVisibility({opacityProperty: true, visibilityProperty: true})) return false;
    const box = e.getBoundingClientRect();
    return box.width > 0 && box.height > 0 && box.right + scrollX > 0 && box.bottom + scrollY > 0;
  };

  // Colours. One that is written in another way than rgb is a fault of this
  // file, so it throws.
  const parse = text => {
    const found = /^rgba?\(([\d.]+), ([\d.]+), ([\d.]+)(?:, ([\d.]+))?\)$/.exec(text);
    if (!found) throw new Error("cannot read the colour " + text);
    return {rgb: found.slice(1, 4).map(Number), alpha: found[4] === undefined ? 1 : Number(found[4])};
  };
  const over = (top, bottom) => bottom.map((b, i) => top.rgb[i] * top.alpha + b * (1 - top.alpha));
  const luminance = rgb => {
    const [r, g, b] = rgb.map(c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => {
    const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (light + 0.05) / (dark + 0.05);
  };
  const dark = () => matchMedia("(prefers-color-scheme: dark)").matches && getComputedStyle(document.documentElement).colorScheme.includes("dark");
  // The colour behind an element's content, and how opaque the content is.
  const behind = e => {
    const layers = [];
    let opacity = 1;
    for (let at = e; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (style.backgroundImage !== "none") throw new Error(call(at) + " has a picture behind its text");
      layers.unshift(parse(style.backgroundColor));
      opacity *= Number(style.opacity);
    }
    const canvas = dark() ? [18, 18, 18] : [255, 255, 255];
    return {rgb: layers.reduce((below, layer) => over(layer, below), canvas), opacity};
  };
  const contrast = (e, colour, background) => {
    const {rgb, alpha} = parse(colour);
    return ratio(over({rgb, alpha: alpha * background.opacity}, background.rgb), background.rgb);
  };

  const audits = {
    structure() {
      const faults = [];
      const root = document.documentElement;
      if (!/^(en|de)$/.test(root.lang)) faults.push(`the language is "${root.lang}"`);
      if (!document.title.trim()) faults.push("there is no title");
      const h1 = all("h1").filter(seen);
      if (h1.length !== 1 || !words(h1[0])) faults.push(`${h1.length} h1`);
      let level = 0;
      for (const h of all("h1, h2, h3, h4, h5, h6").filter(seen)) {
        const n = Number(h.tagName[1]);
        if (n > level + 1) faults.push(`${call(h)} follows a heading of level ${level}`);
        level = n;
      }
      if (all("main").length !== 1) faults.push(`${all("main").length} main`);
      const viewport = document.querySelector("meta[name=viewport]")?.content ?? "";
      if (!viewport.includes("width=device-width") || /user-scalable|maximum-scale/.test(viewport)) faults.push(`the viewport is "${viewport}"`);
      const ids = all("[id]").map(e => e.id);
      for (const id of new Set(ids)) if (ids.filter(other => other === id).length > 1) faults.push(`the id ${id} is there more than once`);
      for (const attribute of ["for", "aria-describedby", "aria-labelledby", "aria-controls"])
        for (const e of all(`[${attribute}]`))
          for (const id of e.getAttribute(attribute).split(/\s+/))
            if (!document.getElementById(id)) faults.push(`${attribute} of ${call(e)} names ${id}, which is not there`);
      for (const e of all("a[href^='#']")) if (!document.querySelector(e.getAttribute("href"))) faults.push(`${call(e)} leads nowhere`);
      for (const e of all("form").filter(seen)) if (!e.querySelector("button:not([type=button])")) faults.push(`${call(e)} has no button to send it`);
      for (const e of all("[tabindex]")) if (e.tabIndex > 0) faults.push(`${call(e)} jumps the queue of the Tab key`);
      return faults;
    },

    labels() {
      const faults = [];
      for (const e of all("input:not([type=hidden]), select, textarea")) {
        if (e.labels.length !== 1) faults.push(`${call(e)} has ${e.labels.length} labels`);
        else if (!words(e.labels[0])) faults.push(`the label of ${call(e)} is empty`);
        else if (!hidden(e) && !seen(e.labels[0])) faults.push(`the label of ${call(e)} is not to be seen`);
        if (!hidden(e) && !e.autocomplete) faults.push(`${call(e)} does not say what it is for (autocomplete)`);
      }
      for (const e of all("a[href], button, summary").filter(seen))
        if (!words(e) && !e.getAttribute("aria-label")) faults.push(`${call(e)} has no name`);
      for (const e of all("img:not([alt]), iframe:not([title])")) faults.push(`${call(e)} has no words to it`);
      for (const e of all("section, nav").filter(e => !e.hasAttribute("aria-label") && !e.hasAttribute("aria-labelledby"))) faults.push(`${call(e)} has no name`);
      return faults;
    },

    errors() {
      const faults = [];
      const used = new Set();
      for (const e of all("[aria-invalid]")) {
        const described = (e.getAttribute("aria-describedby") || "").split(/\s+/).map(id => document.getElementById(id));
        const reasons = described.filter(d => d && d.matches(".reason") && words(d) && seen(d));
        if (reasons.length !== 1) faults.push(`${call(e)} is wrong, and ${reasons.length} reasons are tied to it`);
        reasons.forEach(r => used.add(r));
      }
      for (const e of all(".reason")) if (!used.has(e)) faults.push(`${call(e)} is tied to no field`);
      return faults;
    },

    // Nothing that is hidden from those who listen can be reached by those who type.
    traps() {
      const faults = [];
      for (const e of all("[aria-hidden=true]")) {
        for (const inside of [e, ...all(focusable, e)].filter(i => i.matches(focusable)))
          if (inside.tabIndex >= 0) faults.push(`${call(inside)} is hidden from some and can be focused`);
        const box = e.getBoundingClientRect();
        if (e.querySelector("input") && box.right > 0 && box.bottom > 0) faults.push(`${call(e)} is to be seen`);
      }
      return faults;
    },

    scripts() {
      const faults = [];
      for (const e of all("script")) faults.push(call(e));
      for (const e of all("*")) {
        for (const a of e.attributes) {
          if (/^on/i.test(a.name)) faults.push(`${call(e)} has ${a.name}`);
          if (/^\s*javascript:/i.test(a.value)) faults.push(`${call(e)} has a script in ${a.name}`);
        }
        if (e.hasAttribute("style")) faults.push(`${call(e)} has a style that the policy forbids`);
      }
      for (const e of [window, document, ...all("*")]) {
        const events = Object.keys(getEventListeners(e));
        if (events.length) faults.push(`${e.tagName ? call(e) : e} listens to ${events}`);
      }
      return faults;
    },

    contrast() {
      const faults = [];
      const note = (e, what, at, least) => {
        if (at < least) faults.push(`${what} of ${call(e)}: ${at.toFixed(2)} to 1`);
      };
      const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      for (let text = walk.nextNode(); text; text = walk.nextNode()) {
        const e = text.parentElement;
        if (text.data.trim() && seen(e)) note(e, "text", contrast(e, getComputedStyle(e).color, behind(e)), 4.5);
      }
      for (const e of all("input:not([type=hidden]), select, textarea").filter(seen)) {
        const style = getComputedStyle(e);
        note(e, "text", contrast(e, style.color, behind(e)), 4.5);
        // Where the field begins can be told from its border (WCAG 1.4.11).
        note(e, "border", style.borderTopStyle === "none" ? 1 : contrast(e, style.borderTopColor, behind(e.parentElement)), 3);
      }
      return faults;
    },

    overflow() {
      const faults = [];
      const width = document.documentElement.clientWidth;
      if (document.documentElement.scrollWidth > width) faults.push(`the page is ${document.documentElement.scrollWidth} wide on a screen of ${width}`);
      for (const e of all("body *").filter(seen)) {
        const box = e.getBoundingClientRect();
        if (box.right > width + 1 || box.left < -1) faults.push(`${call(e)} reaches from ${Math.round(box.left)} to ${Math.round(box.right)} on a screen of ${width}`);
        if (!e.matches("input, iframe") && getComputedStyle(e).overflowX !== "visible" && e.scrollWidth > e.clientWidth + 1) faults.push(`${call(e)} is cut off`);
      }
      return faults;
    },

    // WCAG 2.5.8: 24 by 24, but for links in a sentence.
    targets() {
      const faults = [];
      for (const e of all(interactive).filter(seen)) {
        const box = e.getBoundingClientRect();
        const rest = words(e.parentElement).replace(words(e), "");
        const inSentence = getComputedStyle(e).display === "inline" && /\p{L}/u.test(rest);
        if (!inSentence && (box.width < 24 || box.height < 24)) faults.push(`${call(e)} is ${Math.round(box.width)} by ${Math.round(box.height)}`);
      }
      return faults;
    },
  };

  // Where the Tab key has led, and whether that is to be seen: what is drawn
  // around an element is compared with how it was at rest.
  const look = e => {
    const style = getComputedStyle(e);
    return [style.outlineStyle, style.outlineWidth, style.outlineColor, style.boxShadow, style.borderTopColor].join(" ");
  };
  const stops = new Map();
  return {
    run: names => Object.fromEntries(names.map(name => [name, audits[name]()])),
    rest() {
      stops.clear();
      document.activeElement?.blur();
      for (const e of all(focusable)) stops.set(e, {number: stops.size, rest: look(e)});
      // The skip link is to be seen once it has the focus.
      return all(focusable).filter(e => seen(e) || e.matches(".skip")).map(call);
    },
    stop() {
      const e = document.activeElement;
      if (!e || e === document.body) return null;
      const box = e.getBoundingClientRect();
      const style = getComputedStyle(e);
      const faults = [];
      if (!e.matches("iframe")) {
        if (look(e) === stops.get(e).rest) faults.push("looks as it does without the focus");
        if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) faults.push(`has the outline ${style.outlineStyle} ${style.outlineWidth}`);
        else if (contrast(e, style.outlineColor, behind(e.parentElement)) < 3) faults.push("has an outline that is hard to see");
      }
      if (!seen(e)) faults.push("is not to be seen");
      return {number: stops.get(e)?.number ?? -1, name: call(e), skip: e.matches(".skip"), left: box.left + scrollX, right: box.right + scrollX, top: box.top + scrollY, bottom: box.bottom + scrollY, faults};
    },
  };
})()
