// A question with its choices as buttons. Python decides what was chosen; this shows it, and passes clicks on.

const NEWS = ["change:answer", "change:outcome", "change:marks", "change:told", "comm_live_update"];

function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

class View {
  constructor(model, el) {
    this.model = model;
    this.clicked = null; // until Python, which may be busy, has heard of it
    this.choices = model.get("choices");
    this.buttons = this.choices.map((choice, index) => this.button(choice, index + 1));
    this.told = make("div", { className: "told" });
    this.told.setAttribute("role", "status"); // so that a screen reader says what has changed
    const question = make("div", { className: "question", textContent: model.get("question") });
    const card = make("div", { className: "chatlib-choices" }, question, ...this.buttons, this.told);
    card.setAttribute("role", "group");
    card.setAttribute("aria-label", model.get("question"));
    el.append(card);
    this.draw();
    this.update = () => {
      this.clicked = null;
      this.draw();
    };
    for (const name of NEWS) model.on(name, this.update);
  }

  button(choice, number) {
    const text = make("span", { textContent: `${number}. ${choice}` });
    const button = make("button", { type: "button" }, text, " ", make("b"));
    button.addEventListener("click", () => this.choose(choice));
    return button;
  }

  choose(choice) {
    if (choice === (this.clicked ?? this.model.get("answer"))) return; // nothing changes, so nothing would come back
    this.clicked = choice;
    this.draw();
    this.model.send({ choice });
  }

  draw() {
    const ended = this.model.comm_live === false;
    const outcome = this.model.get("outcome");
    this.buttons.forEach((button, index) => this.mark(button, index, outcome, ended));
    const open = ended && outcome === null;
    this.told.textContent = open ? "Its kernel has ended: run the cell again." : this.model.get("told");
  }

  mark(button, index, outcome, ended) {
    const choice = this.choices[index];
    const said = choice === (this.clicked ?? this.model.get("answer"));
    button.className = "choice";
    button.classList.toggle("said", said);
    button.classList.toggle("measured", choice === outcome);
    button.setAttribute("aria-pressed", String(said));
    button.disabled = ended || outcome !== null;
    const sent = said ? "…" : "";
    button.lastChild.textContent = this.clicked === null ? this.model.get("marks")[index] : sent;
  }

  remove() {
    for (const name of NEWS) this.model.off(name, this.update);
  }
}

export default {
  render({ model, el }) {
    const view = new View(model, el);
    return () => view.remove();
  },
};
