// Who, and what they do: names, one of which is chosen, and a button for each act. A click on an act tells who
// and what in one message: a choice of its own could come after it, as a slow kernel confirms one at a time.

function make(name, properties, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

function button(word, kind, act) {
  const made = make("button", { type: "button", className: `jupyter-button ${kind}` }, word);
  made.style.width = "auto"; // or they would not fit into a narrow window
  made.addEventListener("click", act);
  return made;
}

function render({ model, el }) {
  let chosen = model.get("chosen"); // a page that is loaded again goes on with who acted last
  const names = model.get("names").map((name) =>
    button(name, "widget-toggle-button", () => {
      chosen = name;
      draw();
    }),
  );
  const draw = () => {
    for (const name of names) {
      name.classList.toggle("mod-active", name.textContent === chosen);
      name.setAttribute("aria-pressed", String(name.textContent === chosen));
    }
  };
  const acts = model.get("acts").map((act) => button(act, "widget-button", () => model.send({ who: chosen, act })));
  const who = make("div", { className: "widget-inline-hbox widget-toggle-buttons" }, make("div", {}, ...names));
  who.prepend(make("span", { className: "widget-label", textContent: "who" }));
  who.setAttribute("role", "group");
  who.setAttribute("aria-label", "who");
  const deeds = make("div", {}, ...acts);
  deeds.style.cssText = "display: flex; flex-wrap: wrap; gap: 4px; margin: 2px";
  el.append(who, deeds);
  draw();
}

export default { render };
