// Small tools: elements from text alone, numbers in few digits, arrays from the page's blob.
"use strict";
const Page = { views: {}, data: null, listeners: {} };

Page.el = (tag, attributes, ...children) => {
  const svg = ["svg", "g", "rect", "text", "path", "line", "circle", "title", "polyline"].includes(tag);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, fn] of Object.entries(value)) made.addEventListener(event, fn);
    else if (name === "css") for (const [key, text] of Object.entries(value)) made.style.setProperty(key, text);
    else made.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat()) if (child !== null && child !== undefined) made.append(child);
  return made;
};

Page.number = (value, digits = 4) => {
  if (value === null || value === undefined || Number.isNaN(value)) return "";
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return String(value);
  return String(Number(value.toPrecision(digits)));
};

Page.share = (value, places = 1) => {
  if (value === null || value === undefined) return "";
  const step = 10 ** -places, text = (100 * value).toFixed(places);
  if (value > 0 && Number(text) === 0) return `<${step.toFixed(places)}%`;
  if (value < 1 && Number(text) === 100) return `>${(100 - step).toFixed(places)}%`;
  return `${text}%`;
};

Page.short = (text, most) => (text.length <= most ? text : `${text.slice(0, most - 1)}…`);

Page.on = (event, fn) => (Page.listeners[event] = Page.listeners[event] || []).push(fn);
Page.tell = (event, value) => (Page.listeners[event] || []).forEach((fn) => fn(value));

Page.button = (label, fn, attributes = {}) =>
  Page.el("button", { type: "button", on: { click: fn }, ...attributes }, label);

Page.choice = (label, options, fn) => {
  const select = Page.el("select", { on: { change: () => fn(select.selectedIndex) } },
    options.map((text, i) => Page.el("option", { value: i }, Page.short(text, 60))));
  return Page.el("label", {}, label, select);
};

// Arrays stand in the JSON as places in one zlib-compressed blob.
Page.read = async (text) => {
  const data = JSON.parse(text);
  const raw = atob(data.binary), packed = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) packed[i] = raw.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = await new Response(stream).arrayBuffer();
  const open = (value) => {
    if (Array.isArray(value)) return value.map(open);
    if (value === null || typeof value !== "object") return value;
    if (value.$) {
      const [start, length, kind, width] = value.$;
      const array = kind === "i4" ? new Int32Array(bytes, start, length) : new Float32Array(bytes, start, length);
      array.width = width;
      return array;
    }
    for (const key of Object.keys(value)) value[key] = open(value[key]);
    return value;
  };
  delete data.binary;
  return open(data);
};

// A datum as a person sees it; tokens equal to those of another datum are marked.
Page.datum = (shown, other) => {
  if (shown.image) return Page.el("img", { src: shown.image, alt: "the input" });
  const box = Page.el("div", { class: "datum" });
  if (!other || other.image) { box.append(shown.text); return box; }
  const parts = shown.text.split(/(\s+)/), theirs = other.text.split(/(\s+)/);
  parts.forEach((part, i) => box.append(part.trim() && part === theirs[i] ? Page.el("mark", {}, part) : part));
  return box;
};
