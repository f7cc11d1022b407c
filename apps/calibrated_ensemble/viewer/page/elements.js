// Elements of the page, made in one call.

/**
 * Make an element.
 *
 * @param {string} tag
 * @param {object} properties of the element; `data` and `aria` become attributes, `on` listeners
 * @param {...(Node | string)} children
 */
export function element(tag, { data = {}, aria = {}, on = {}, ...properties } = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  Object.assign(made.dataset, data);
  for (const [name, value] of Object.entries(aria)) made.setAttribute(`aria-${name}`, value);
  for (const [name, listener] of Object.entries(on)) made.addEventListener(name, listener);
  made.append(...children);
  return made;
}
