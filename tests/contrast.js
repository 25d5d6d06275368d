// Returns each visible text of certain elements, and its contrast with what is painted behind it, as WCAG 2 counts it.
(ours) => {
  const rgba = (colour) => {
    const [r, g, b, a = 1] = (colour.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
    return { rgb: [r, g, b], a };
  };
  const over = (colour, ground, opacity = 1) => {
    const { rgb, a } = rgba(colour);
    return ground.map((part, at) => part + (rgb[at] - part) * a * opacity);
  };

  const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((part) => linear(part / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };

  const lineage = (element) => (element ? [...lineage(element.parentElement), element] : []);
  const opacity = (element) => lineage(element).reduce((all, each) => all * getComputedStyle(each).opacity, 1);
  const page = (element) =>
    lineage(element).reduce((ground, each) => over(getComputedStyle(each).backgroundColor, ground), [255, 255, 255]);

  // What is behind a text of a picture: its halo, or else whatever was painted before it at this place of the window.
  const painted = (shape, { x, y }, ground) => {
    const matrix = shape.getScreenCTM();
    if (!matrix) return ground;
    const at = new DOMPoint(x, y).matrixTransform(matrix.inverse());
    const { fill, fillOpacity, stroke, strokeOpacity, opacity } = getComputedStyle(shape);
    const filled = shape.isPointInFill(at) ? over(fill, ground, fillOpacity * opacity) : ground;
    return shape.isPointInStroke(at) ? over(stroke, filled, strokeOpacity * opacity) : filled;
  };
  const picture = (text, place) => {
    const svg = text.ownerSVGElement;
    const isBehind = (shape) =>
      shape.compareDocumentPosition(text) & Node.DOCUMENT_POSITION_FOLLOWING && !shape.closest("defs");
    const shapes = [...svg.querySelectorAll("path, rect, circle")].filter(isBehind);
    const ground = shapes.reduce((below, shape) => painted(shape, place, below), page(svg));
    const { paintOrder, stroke, strokeWidth } = getComputedStyle(text);
    return paintOrder.startsWith("stroke") && parseFloat(strokeWidth) >= 3 ? over(stroke, ground) : ground;
  };

  // At its beginning, in its middle, and at its end: the worst counts.
  const worst = (element, { x, y, width, height }) => {
    const drawn = element instanceof SVGElement;
    const { color, fill } = getComputedStyle(element);
    const places = [0.05, 0.5, 0.95].map((part) => ({ x: x + part * width, y: y + height / 2 }));
    const grounds = drawn ? places.map((place) => picture(element, place)) : [page(element)];
    const ratio = (ground) => contrast(over(drawn ? fill : color, ground, opacity(element)), ground);
    return Math.min(...grounds.map(ratio));
  };

  const found = [];
  const take = (element, box, text) => {
    if (text && box.width && element.checkVisibility({ visibilityProperty: true })) found.push([worst(element, box), text]);
  };
  for (const root of document.querySelectorAll(ours)) {
    if (root.parentElement.closest(ours)) continue;
    for (const field of root.querySelectorAll("select, input")) take(field, field.getBoundingClientRect(), field.value);
    const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const range = document.createRange();
      range.selectNode(texts.currentNode);
      take(texts.currentNode.parentElement, range.getBoundingClientRect(), texts.currentNode.data.trim());
    }
  }
  return found;
};
