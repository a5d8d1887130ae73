// A spec opens in the playground below it, in the page; with a key held down, or without this script, on a page of its own.
"use strict";

document.addEventListener("click", event => {
  const link = event.target.closest(".open-in-playground > a");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  document.querySelector(".playground")?.close(); // each holds an interpreter
  const made = (name, fields, ...inner) => {
    const node = Object.assign(document.createElement(name), fields);
    node.append(...inner);
    return node;
  };
  const spec = "&tab=spec"; // the frame has no room for more beside it
  const frame = made("iframe", { src: link.href + spec, title: "the spec in the playground" });
  const alone = made("a", { href: link.href, target: "_blank" }, "on a page of its own");
  const close = made("button", { type: "button" }, "close");
  const box = made("div", { className: "playground" }, made("p", {}, alone, " ", close), frame);
  const below = link.parentNode;
  box.close = () => {
    box.remove();
    below.hidden = false;
  };
  close.onclick = () => {
    box.close();
    link.focus();
  };
  // what is written in it goes along
  alone.onclick = () => {
    try {
      const here = frame.contentWindow.location.href; // of what was written there is no address: it is kept
      if (here !== "about:blank") alone.href = here.replace(spec, "");
    } catch {
      // it is still where the link leads
    }
  };
  below.hidden = true;
  below.after(box);
  close.focus({ preventScroll: true });
  box.scrollIntoView({ block: "nearest" });
});
