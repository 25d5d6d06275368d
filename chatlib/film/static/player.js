// Plays a film that has ended: shows it up to a moment, from event to event. What came later is behind a veil.

const PACE = 140; // units of the picture a second: so a long wait takes longer than a short one, but not as much longer
const LONGEST = 40; // seconds from the first event to the last, at most
const CALM = window.matchMedia("(prefers-reduced-motion: reduce)");

function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

function mark(svg, name, attributes) {
  const element = document.createElementNS(svg.namespaceURI, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

class Player {
  // `events` are [seconds, key of a step, place, place in the other scale]; the last is the end of the film. `steps`
  // are, by key, [what it does while it lasts, number of its code]; `code` is [file, line, first line, lines].
  constructor(view, { events, steps, code }) {
    Object.assign(this, { view, events, steps, code });
    this.begins = new Map(); // the number of a step's first event, by its key
    this.ends = new Map(); // and of its last; none if it was open when the film ended
    events.forEach(([, key], number) => (this.begins.has(key) ? this.ends : this.begins).set(key, number));
    this.last = events.length - 1;
    this.at = this.last; // the number of the latest event, and how much of the way to the next has passed
    this.timer = null;
    this.play = view.button("", () => this.toggle());
    const back = view.button("Back (,)", () => this.back());
    const next = view.button("Next (.)", () => this.next());
    this.slider = make("input", { type: "range", min: 0, max: this.last, step: 1 });
    this.slider.addEventListener("input", () => this.go(Number(this.slider.value)));
    this.moment = make("output");
    const label = make("label", {}, "Moment", this.slider);
    this.bar = make("div", { className: "player" }, this.play, back, next, label, this.moment);
    this.bar.hidden = this.last < 1;
    this.stop();
  }

  // What a key means here, if anything. The space bar presses a button that has the focus.
  actionOf({ key, target }) {
    if (this.bar.hidden || (key === " " && target.closest("button, summary"))) return null;
    return { ",": () => this.back(), ".": () => this.next(), " ": () => this.toggle() }[key] ?? null;
  }

  // A slider has keys of its own.
  isSliders({ key, target }) {
    return target === this.slider && /^(Arrow|Page|Home$|End$)/.test(key);
  }

  get number() {
    return Math.floor(this.at);
  }

  // The step that the latest event belongs to: none at the end, where the film is whole.
  get key() {
    return this.events[this.number][1] || null;
  }

  back() {
    this.go(Math.ceil(this.at) - 1);
  }

  next() {
    this.go(this.number + 1);
  }

  go(at) {
    this.stop();
    this.reach(Math.max(0, Math.min(this.last, at)));
  }

  reach(at) {
    const before = this.number;
    this.at = at;
    this.show();
    if (this.number !== before) this.view.point(this.key);
    this.follow();
  }

  toggle() {
    if (this.timer) return this.stop();
    if (this.at === this.last) this.reach(0);
    this.play.textContent = "Stop (Space)";
    let before = performance.now();
    const frame = (now) => {
      this.timer = requestAnimationFrame(frame);
      this.advance(Math.max(0, now - before) / 1000);
      before = now;
      if (this.at === this.last) this.stop();
    };
    this.timer = requestAnimationFrame(frame);
  }

  stop() {
    cancelAnimationFrame(this.timer);
    this.timer = null;
    this.play.textContent = "Play (Space)";
  }

  advance(seconds) {
    const whole = this.placeOf(this.last) - this.placeOf(0);
    let [at, way] = [this.at, seconds * Math.max(PACE, whole / LONGEST)];
    while (way > 0 && at < this.last) {
      const next = Math.floor(at) + 1;
      const gap = this.placeOf(next) - this.placeOf(next - 1);
      const left = (next - at) * gap;
      at = left > way ? at + way / gap : next;
      way -= left;
    }
    this.reach(at);
  }

  // Where an event, or a moment between two, lies in the picture that is shown.
  placeOf(at) {
    const places = [Math.floor(at), Math.ceil(at)].map((number) => this.events[number][2 + Number(this.view.turned)]);
    return places[0] + (at % 1) * (places[1] - places[0]);
  }

  // Shows the moment in the picture: after each step, and in each new picture.
  show() {
    const { svg } = this.view;
    const names = svg.querySelector(".cf-stays rect");
    this.tell();
    if (!names) return;
    const x = this.placeOf(CALM.matches ? this.number : this.at);
    this.draw(svg, x, 30 + Number(names.getAttribute("height")));
    for (const step of this.view.steps) step.classList.toggle("cf-lasts", this.isOngoing(step.dataset.step));
    for (const label of svg.querySelectorAll(".cf-label")) this.word(label, x);
  }

  tell() {
    const [first, second] = [this.number, Math.min(this.number + 1, this.last)].map((number) => this.events[number][0]);
    const seconds = CALM.matches ? first : first + (this.at % 1) * (second - first);
    this.slider.value = this.number;
    this.slider.setAttribute("aria-valuetext", `${seconds.toFixed(4)} s: ${this.said(this.key) ?? "the end"}`);
    this.moment.textContent = this.at === this.last ? `${seconds.toFixed(4)} s, the end` : `${seconds.toFixed(4)} s`;
  }

  // What is to be said of a step: before it has ended, not yet how.
  said(key) {
    return this.isOngoing(key) ? this.steps[key][0] : this.view.step(key)?.dataset.text;
  }

  isOngoing(key) {
    const ends = this.ends.get(key) ?? this.last;
    return this.begins.get(key) <= this.number && this.number < ends;
  }

  draw(svg, x, bottom) {
    svg.querySelectorAll(".cf-veil, .cf-head").forEach((old) => old.remove());
    svg.classList.toggle("cf-earlier", this.at < this.last); // who is stuck is told of the end
    if (this.at === this.last) return;
    const width = svg.viewBox.baseVal.width;
    const [veil, head] = [
      mark(svg, "rect", { class: "cf-veil", x, y: 28, width: width - x, height: bottom - 28 }),
      mark(svg, "path", { class: "cf-head", d: `M${x - 6} 22h12l-6 8V${bottom}V30z` }),
    ];
    const behind = svg.querySelector(".cf-label") ?? svg.querySelector(".cf-stays");
    behind.before(...svg.querySelectorAll(".cf-trail"), veil, head);
  }

  // A label stands there from when its step begins; before that has ended, it does not say how.
  word(label, x) {
    const key = label.dataset.of;
    const later = key ? this.begins.get(key) > this.number : Number(label.getAttribute("x")) > x;
    label.classList.toggle("cf-later", later && this.at < this.last);
    const whole = (label.dataset.whole ??= label.textContent);
    const ongoing = key && this.isOngoing(key) ? this.steps[key][0] : whole;
    label.textContent = ongoing.length < whole.length ? ongoing : whole;
  }

  // Scrolls the picture, if the moment is out of sight.
  follow() {
    const { reel, svg } = this.view;
    const scale = svg.getBoundingClientRect().width / (svg.viewBox?.baseVal.width || 1);
    const names = scale * Number(svg.querySelector(".cf-stays rect")?.getAttribute("width") ?? 0);
    const x = this.placeOf(this.at) * scale;
    const room = reel.clientWidth - names; // beside the names, which stay
    if (x < reel.scrollLeft + names + room / 10 || x > reel.scrollLeft + names + room * 0.8)
      reel.scrollLeft = x - names - room / 3;
  }

  // The line of a step, and those around it; null if there is no more than the line.
  codeOf(key) {
    const [file, here, first, lines] = this.code[this.steps[key]?.[1]] ?? [];
    if (!lines || lines.length < 2) return null;
    const rows = lines.map((textContent, number) => {
      const row = make("span", { className: "line", textContent });
      row.dataset.number = first + number;
      if (first + number === here) row.setAttribute("aria-current", "true");
      return row;
    });
    return file ? [make("span", { className: "file", textContent: file }), ...rows] : rows;
  }
}
