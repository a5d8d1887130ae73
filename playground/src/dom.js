// Elements of the page. Whatever comes of a spec is put into them as text, and never as markup.

/** Return an element with attributes (`on...` are listeners) and children, of which strings are texts. */
export const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter(child => child !== undefined && child !== null && child !== false));
  return element;
};

export const by = id => document.getElementById(id);

/** Offer a text as a file. */
export const download = (name, text, type = "text/plain") => {
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
};

/** Say something at the bottom for a moment. */
export const say = text => {
  let box = by("said");
  if (!box) document.body.append((box = make("div", { id: "said", role: "status" })));
  box.textContent = text;
  box.classList.add("shown");
  clearTimeout(say.timer);
  say.timer = setTimeout(() => box.classList.remove("shown"), 4000);
};
