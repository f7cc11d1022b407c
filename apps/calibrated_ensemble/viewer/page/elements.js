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

/** Ask a question that must be answered before anything else; resolves to whether the answer is yes. */
export function ask({ question, yes, no }) {
  return new Promise(resolve => {
    const dialog = element('dialog', { id: 'ce-question', className: 'ce' });
    const answer = text => element('button', { id: text === yes ? 'ce-yes' : 'ce-no', value: text }, text);
    const form = element('form', { method: 'dialog' }, element('p', {}, question), answer(no), answer(yes));
    dialog.append(form);
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === yes);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
