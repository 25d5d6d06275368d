// The live view of a film. Python draws the picture; this shows it, and what belongs to the bar one points at.

const NEAREST = { block: "nearest", inline: "nearest" };
const ELEMENTS = new Set(["svg", "style", "title", "desc", "g", "path", "rect", "circle", "text"]);
const NEWS = ["change:picture", "change:finished", "comm_live_update"];
const LEGIBLE = 0.6; // of its actual size: smaller than that, a picture cannot be read
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

// JupyterLab takes a key before a view does, unless an element above it says no. This says no for the view's own
// keys only, or A would insert a cell; Shift + Enter and all the others reach the notebook.
function keepKeys(frame, own) {
  const look = (event) => frame.toggleAttribute("data-lm-suppress-shortcuts", own(event));
  // JupyterLab listens at the document, which comes after the window. Only while the focus is here: a picture that
  // is thrown away is told nothing, and would be kept by its listener.
  frame.addEventListener("focusin", () => window.addEventListener("keydown", look, true));
  frame.addEventListener("focusout", () => window.removeEventListener("keydown", look, true));
}

function box(step) {
  return step.querySelector(".cf-bar").getBBox();
}

class View {
  constructor(model, el) {
    this.model = model;
    this.paused = false;
    this.turned = false; // whether the other scale of time is shown than the one it began with
    this.sized = false; // whether the reader has chosen a size
    this.following = !model.get("finished"); // whether the present, at the right, is to stay in sight
    this.chosen = null; // the key of the bar that has the focus: bars come and go with every picture
    this.told = null; // and of the one that is told of: chosen or pointed at, whichever came last
    this.mouse = null; // where it was last
    this.keyed = false; // whether a key has chosen since it moved
    this.label = make("div");
    this.source = make("code");
    this.state = make("span", { className: "state" });
    this.text = make("pre");
    this.reel = make("div", { className: "reel", tabIndex: 0 });
    this.reel.setAttribute("role", "group");
    this.reel.setAttribute("aria-label", "The film: arrow keys go from bar to bar");
    this.pause = this.button("Pause (P)", () => this.togglePause());
    this.fit = this.button("Fit all (F)", () => this.zoom(true));
    this.actual = this.button("Actual size (A)", () => this.zoom(false));
    this.scale = this.button("To scale (L)", () => this.turn());
    this.player = model.get("play") ? new Player(this, model.get("play")) : null;
    const detail = make("div", { className: "detail" }, this.label, this.source);
    const tools = make("div", { className: "tools" }, this.pause, this.fit, this.actual, this.scale, this.state);
    const summary = make("summary", { textContent: "What each thread did, in words" });
    this.story = make("details", {}, summary, this.text);
    const stage = make("div", { className: "stage" }, this.reel, detail);
    this.frame = make("div", { className: "chatfilm-view" }, tools, this.player?.bar ?? "", stage, this.story);
    keepKeys(this.frame, (event) => this.player?.isSliders(event) || Boolean(this.actionOf(event)));
    this.frame.addEventListener("keydown", (event) => this.key(event));
    this.reel.addEventListener("scroll", () => this.scrolled());
    this.reel.addEventListener("mousemove", (event) => this.moved(event));
    this.reel.addEventListener("mouseleave", () => this.point(this.player?.key ?? this.chosen));
    this.reel.addEventListener("click", (event) => this.step(this.keyAt(event.target))?.focus());
    this.reel.addEventListener("focusin", (event) => this.choose(event.target.closest(".cf-step")));
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(this.reel); // it has no size before it is in the page
    el.append(this.frame);
    this.take();
    this.update = () => this.paused || this.take();
    for (const name of NEWS) model.on(name, this.update);
  }

  button(textContent, action) {
    const button = make("button", { type: "button", textContent });
    button.addEventListener("click", action);
    button.setAttribute("aria-pressed", "false");
    return button;
  }

  // What is paused stays as it was, in both scales.
  take() {
    this.pictures = [this.model.get("picture"), this.model.get("other")];
    this.text.textContent = this.model.get("story");
    this.draw();
  }

  draw() {
    const { reel, told } = this;
    const focused = reel.contains(document.activeElement) && document.activeElement !== reel;
    try {
      this.svg = parse(this.pictures[Number(this.turned)]);
    } catch (error) {
      this.svg = make("p", { textContent: `This picture is not shown: ${error.message}` });
    }
    this.svg.setAttribute("role", "group"); // an image has no parts that could have the focus
    this.steps = [...this.svg.querySelectorAll(".cf-step")];
    for (const step of this.steps) this.prepare(step);
    reel.replaceChildren(this.svg);
    this.resized();
    this.player?.show();
    if (focused) (this.step(this.chosen) ?? reel).focus({ preventScroll: true });
    this.told = told; // to give the focus back is no choice
    this.say();
    this.tell();
  }

  prepare(step) {
    step.setAttribute("tabindex", "-1");
    step.setAttribute("role", "img");
    step.setAttribute("aria-label", [step.dataset.text, step.dataset.source].filter(Boolean).join(": "));
  }

  tell() {
    const finished = this.model.get("finished");
    this.frame.dataset.finished = finished;
    this.scale.setAttribute("aria-pressed", String(this.svg.classList.contains("cf-to-scale")));
    this.pause.hidden = finished && !this.paused;
    const state = this.model.comm_live === false ? "its kernel has ended" : "live";
    const ended = this.model.get("ended") ?? "the film has ended";
    this.state.textContent = this.paused ? "paused" : finished ? ended : state;
  }

  togglePause() {
    this.paused = !this.paused;
    this.pause.textContent = this.paused ? "Continue (P)" : "Pause (P)";
    this.pause.setAttribute("aria-pressed", String(this.paused));
    if (this.paused) this.tell();
    else this.take();
  }

  // To the other scale of time, and back: the same bars, in other places.
  turn() {
    this.turned = !this.turned;
    this.draw();
    this.step(this.chosen)?.scrollIntoView?.(NEAREST);
  }

  zoom(fit) {
    this.sized = true;
    this.following = !this.model.get("finished"); // a film that has ended is looked at from its beginning
    this.show(fit);
  }

  show(fit) {
    this.reel.classList.toggle("fit", fit);
    this.fit.setAttribute("aria-pressed", String(fit));
    this.actual.setAttribute("aria-pressed", String(!fit));
    if (this.following) this.reel.scrollLeft = this.reel.scrollWidth;
    this.keepNames();
  }

  // Until the reader chooses, a picture is shown whole if it can then be read.
  resized() {
    const { width = 0, height = 0 } = this.svg.viewBox?.baseVal ?? {};
    this.reel.style.setProperty("--least-width", `${LEGIBLE * width}px`);
    this.reel.style.setProperty("--least-height", `${LEGIBLE * height}px`);
    const fit = this.reel.classList.contains("fit");
    this.show(this.sized ? fit : LEGIBLE * width <= this.reel.clientWidth);
  }

  scrolled() {
    this.following = this.reel.scrollLeft + this.reel.clientWidth >= this.reel.scrollWidth - 40;
    this.keepNames();
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

  step(key) {
    return this.steps.find((step) => step.dataset.step === key);
  }

  // Bars have keys, and so have their labels.
  keyAt(target) {
    return target.closest(".cf-step")?.dataset.step ?? target.dataset?.of ?? null;
  }

  // A browser tells of a mouse that rests, too, when a bar that a key has chosen is scrolled into sight beneath it.
  moved({ screenX, screenY, target }) {
    const mouse = `${screenX} ${screenY}`;
    if (this.keyed && mouse === this.mouse) return;
    [this.mouse, this.keyed] = [mouse, false];
    this.point(this.keyAt(target));
  }

  point(key) {
    this.told = key;
    this.say();
  }

  choose(step) {
    if (!step) return;
    this.chosen = step.dataset.step;
    this.point(this.chosen);
  }

  say() {
    const { step, text = HINT, source = "" } = (this.step(this.told) ?? this.step(this.chosen))?.dataset ?? {};
    this.label.textContent = this.player?.said(step) ?? text;
    this.source.replaceChildren(...(this.player?.codeOf(step) ?? [source]));
  }

  // What a key means here, if anything.
  actionOf(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return null;
    if (/^(Arrow|Home$|End$)/.test(event.key) && this.story.contains(event.target)) return null; // they scroll it
    if (this.player?.isSliders(event)) return null;
    const actions = {
      p: () => this.togglePause(),
      f: () => this.zoom(true),
      a: () => this.zoom(false),
      l: () => this.turn(),
      arrowleft: () => this.move(-1),
      arrowright: () => this.move(1),
      arrowup: () => this.change(-1),
      arrowdown: () => this.change(1),
      home: () => this.goTo(this.ordered()[0]),
      end: () => this.goTo(this.ordered().at(-1)),
      escape: () => this.leave(),
    };
    return actions[event.key.toLowerCase()] ?? this.player?.actionOf(event) ?? null;
  }

  key(event) {
    if (this.player?.isSliders(event)) event.stopPropagation(); // JupyterLab would go to another cell
    const action = this.actionOf(event);
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  }

  // By when they began, which their keys say: to scale, many lie at the same place.
  ordered() {
    const start = (step) => parseInt(step.dataset.step.split("-").at(-1), 16);
    return [...this.steps].sort((a, b) => start(a) - start(b));
  }

  // Left and right: the bar before or after this one, in whatever lane.
  move(by) {
    const ordered = this.ordered();
    const at = ordered.indexOf(this.step(this.chosen));
    this.goTo(ordered[at < 0 ? (by > 0 ? 0 : ordered.length - 1) : at + by]);
  }

  // Up and down: the nearest bar of the next lane.
  change(by) {
    const here = this.step(this.chosen);
    if (!here) return this.move(by);
    const { x, y } = box(here);
    const lane = (step) => Math.round(box(step).y / 10);
    const beyond = this.steps.filter((step) => (lane(step) - Math.round(y / 10)) * by > 0);
    const next = Math.min(...beyond.map((step) => lane(step) * by));
    const there = beyond.filter((step) => lane(step) * by === next);
    this.goTo(there.sort((a, b) => Math.abs(box(a).x - x) - Math.abs(box(b).x - x))[0]);
  }

  goTo(step) {
    this.keyed = true;
    step?.focus();
    this.choose(step); // also if it has the focus already, and the mouse points at another
    step?.scrollIntoView?.(NEAREST);
  }

  // Gives the keyboard back to the notebook: to the cell that shows this.
  leave() {
    this.chosen = null;
    this.point(null);
    (this.frame.closest(".jp-Cell") ?? this.reel).focus();
  }

  remove() {
    this.observer.disconnect();
    this.player?.stop();
    for (const name of NEWS) this.model.off(name, this.update);
  }
}

export default {
  render({ model, el }) {
    const view = new View(model, el);
    return () => view.remove();
  },
};
