// The live view of a film. Python draws the picture; this shows it, and what belongs to the bar one points at.

const ELEMENTS = new Set(["svg", "style", "title", "desc", "g", "path", "rect", "circle", "text"]);
const TRAITS = ["picture", "finished"];
const HINT = "Point at a bar, or press the arrow keys, to see its line of the program.";

// The picture was made from what came over a network. Python has escaped it; this trusts nobody, either.
function parse(source) {
  const root = new DOMParser().parseFromString(source, "image/svg+xml").documentElement;
  for (const element of [root, ...root.querySelectorAll("*")]) {
    if (!ELEMENTS.has(element.localName)) throw new Error(`no <${element.localName}> belongs in a picture`);
    for (const { name } of element.attributes)
      if (/^on|href/i.test(name)) throw new Error(`no ${name} belongs in a picture`);
  }
  return document.importNode(root, true);
}

function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

class View {
  constructor(model, el) {
    this.model = model;
    this.paused = false;
    this.chosen = null; // the key of the bar that has the focus: bars come and go with every picture
    this.label = make("div");
    this.source = make("code");
    this.state = make("span", { className: "state" });
    this.text = make("pre");
    this.reel = make("div", { className: "reel", tabIndex: 0 });
    this.reel.setAttribute("role", "group");
    this.reel.setAttribute("aria-label", "The film: left and right arrow keys go from bar to bar");
    this.pause = this.button("Pause (P)", () => this.togglePause());
    this.fit = this.button("Fit all (F)", () => this.zoom(true));
    this.actual = this.button("Actual size (A)", () => this.zoom(false));
    const detail = make("div", { className: "detail" }, this.label, this.source);
    const tools = make("div", { className: "tools" }, this.pause, this.fit, this.actual, this.state);
    const story = make("details", {}, make("summary", { textContent: "The same as text" }), this.text);
    this.frame = make("div", { className: "chatfilm-view" }, tools, this.reel, detail, story);
    this.frame.dataset.lmSuppressShortcuts = "true"; // or JupyterLab takes A for "insert a cell"
    this.frame.addEventListener("keydown", (event) => this.key(event));
    this.reel.addEventListener("scroll", () => this.keepNames());
    this.reel.addEventListener("mouseover", (event) => this.show(event.target.closest(".cf-step")));
    this.reel.addEventListener("focusin", (event) => this.choose(event.target.closest(".cf-step")));
    el.append(this.frame);
    this.zoom(false);
    this.draw();
    this.update = () => this.paused || this.draw();
    for (const name of TRAITS) model.on(`change:${name}`, this.update);
  }

  button(textContent, action) {
    const button = make("button", { type: "button", textContent });
    button.addEventListener("click", action);
    button.setAttribute("aria-pressed", "false");
    return button;
  }

  draw() {
    const { reel } = this;
    const follows = reel.scrollLeft + reel.clientWidth >= reel.scrollWidth - 40;
    const focused = reel.contains(document.activeElement) && document.activeElement !== reel;
    try {
      this.svg = parse(this.model.get("picture"));
    } catch (error) {
      this.svg = make("p", { textContent: `This picture is not shown: ${error.message}` });
    }
    this.svg.setAttribute("role", "group"); // an image has no parts that could have the focus
    this.steps = [...this.svg.querySelectorAll(".cf-step")];
    for (const step of this.steps) this.prepare(step);
    reel.replaceChildren(this.svg);
    if (follows) this.followPresent();
    const chosen = this.steps.find((step) => step.dataset.step === this.chosen);
    if (chosen) this.show(chosen);
    else if (!this.chosen) this.label.textContent = HINT;
    if (focused) (chosen ?? reel).focus({ preventScroll: true });
    this.text.textContent = this.model.get("story");
    this.tell();
    this.keepNames();
  }

  prepare(step) {
    step.setAttribute("tabindex", "-1");
    step.setAttribute("role", "img");
    step.setAttribute("aria-label", [step.dataset.text, step.dataset.source].filter(Boolean).join(": "));
  }

  tell() {
    const finished = this.model.get("finished");
    this.frame.dataset.finished = finished;
    this.pause.hidden = finished && !this.paused;
    this.state.textContent = this.paused ? "paused" : finished ? "the film has ended" : "live";
  }

  togglePause() {
    this.paused = !this.paused;
    this.pause.textContent = this.paused ? "Continue (P)" : "Pause (P)";
    this.pause.setAttribute("aria-pressed", String(this.paused));
    if (this.paused) this.tell();
    else this.draw();
  }

  zoom(fit) {
    this.reel.classList.toggle("fit", fit);
    this.fit.setAttribute("aria-pressed", String(fit));
    this.actual.setAttribute("aria-pressed", String(!fit));
    if (!fit) this.followPresent();
    this.keepNames();
  }

  // The present is at the right; a film that has ended is looked at from its beginning.
  followPresent() {
    if (!this.model.get("finished")) this.reel.scrollLeft = this.reel.scrollWidth;
  }

  // When the picture is scrolled, the names of the lanes stay, and so does what is said of an open bar.
  keepNames() {
    const names = this.svg?.querySelector(".cf-stays");
    const box = this.svg?.viewBox?.baseVal;
    if (!names || !box?.width) return;
    const hidden = (this.reel.scrollLeft * box.width) / (this.svg.getBoundingClientRect().width || box.width);
    names.setAttribute("transform", `translate(${hidden} 0)`);
    const edge = hidden + Number(names.querySelector("rect").getAttribute("width")) + 12;
    for (const label of this.svg.querySelectorAll('.cf-strong[class*="cf-on-"]')) {
      const by = Math.max(0, edge - Number(label.getAttribute("x")));
      label.setAttribute("transform", `translate(${by} 0)`);
    }
  }

  show(step) {
    if (!step) return;
    this.label.textContent = step.dataset.text;
    this.source.textContent = step.dataset.source ?? "";
  }

  choose(step) {
    if (!step) return;
    this.chosen = step.dataset.step;
    this.show(step);
  }

  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const actions = {
      p: () => this.togglePause(),
      f: () => this.zoom(true),
      a: () => this.zoom(false),
      arrowleft: () => this.move(-1),
      arrowright: () => this.move(1),
      escape: () => this.leave(),
    };
    const action = actions[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  }

  move(by) {
    const begin = (step) => step.querySelector(".cf-bar").getBBox().x;
    const ordered = [...this.steps].sort((a, b) => begin(a) - begin(b));
    const at = ordered.findIndex((step) => step.dataset.step === this.chosen);
    const next = at < 0 ? (by > 0 ? 0 : ordered.length - 1) : at + by;
    ordered[next]?.focus();
    ordered[next]?.scrollIntoView?.({ block: "nearest", inline: "nearest" });
  }

  leave() {
    this.chosen = null;
    this.label.textContent = HINT;
    this.source.textContent = "";
    this.reel.focus();
  }

  remove() {
    for (const name of TRAITS) this.model.off(`change:${name}`, this.update);
  }
}

export default {
  render({ model, el }) {
    const view = new View(model, el);
    return () => view.remove();
  },
};
