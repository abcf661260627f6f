// The contrast of an element's text with what is behind it, by WCAG 2.2.
(element) => {
  const rgba = (text) => {
    const found = text.match(/[\d.]+/g).map(Number);
    return found.length > 3 ? found : [...found, 1];
  };
  const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  let behind = element;
  while (rgba(getComputedStyle(behind).backgroundColor)[3] < 1) behind = behind.parentElement;
  const back = rgba(getComputedStyle(behind).backgroundColor);
  const [a, b] = [light(rgba(getComputedStyle(element).color)), light(back)].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
}
