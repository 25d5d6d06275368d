// Words, one of which is chosen: a button for each. A screen reader says which of them is pressed.

function make(name, properties, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

function render({ model, el }) {
  const buttons = model.get("words").map((word) => {
    const button = make("button", { type: "button", className: "jupyter-button widget-toggle-button" }, word);
    button.style.width = "auto"; // or five of them would not fit into a narrow window
    button.addEventListener("click", () => {
      model.set("value", word);
      model.save_changes();
    });
    return button;
  });
  const draw = () => {
    for (const button of buttons) {
      const chosen = button.textContent === model.get("value");
      button.classList.toggle("mod-active", chosen);
      button.setAttribute("aria-pressed", String(chosen));
    }
  };
  const label = make("span", { className: "widget-label", textContent: model.get("label") });
  el.append(make("div", { className: "widget-inline-hbox widget-toggle-buttons" }, label, make("div", {}, ...buttons)));
  el.setAttribute("role", "group");
  el.setAttribute("aria-label", model.get("label"));
  draw();
  model.on("change:value", draw);
  return () => model.off("change:value", draw);
}

export default { render };
