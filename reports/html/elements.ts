/** The few pieces of HTML that the page is made of. Everything that comes from a results file goes through text(). */

/** A piece of finished HTML; only the functions of this file make one. */
export type Html = { readonly html: string };

export function text(value: string): Html {
  return { html: value.replace(/[&<>"']/g, (char) => `&#${char.codePointAt(0)};`) };
}

/** Trusted markup, written by us. */
export function raw(html: string): Html {
  return { html };
}

export function join(parts: (Html | null)[]): Html {
  return raw(
    parts
      .filter((part) => part !== null)
      .map((part) => part.html)
      .join('\n'),
  );
}

export function element(name: string, attributes: Record<string, string>, ...children: Html[]): Html {
  const list = Object.entries(attributes).map(([key, value]) => ` ${key}="${text(value).html}"`);
  return raw(`<${name}${list.join('')}>${children.map((child) => child.html).join('')}</${name}>`);
}

export function section(id: string, title: string, ...children: (Html | null)[]): Html {
  const heading = element('h2', { id: `${id}-title` }, text(title));
  return element('section', { id, 'aria-labelledby': `${id}-title` }, heading, join(children));
}

/** First column names the row. Columns of words stand left, of figures right. Status words are marked by class and by the word itself. */
export function table(caption: string, head: string[], body: string[][]): Html {
  const words = head.map((_, i) => body.every((cells) => !startsLikeFigure(cells[i] ?? '')));
  const headCells = head.map((cell, i) => element('th', { scope: 'col', ...wordClass(words[i]) }, text(cell)));
  const rows = body.map((cells) =>
    element(
      'tr',
      {},
      ...cells.map((cell, i) =>
        i === 0
          ? element('th', { scope: 'row' }, text(cell))
          : element('td', { ...wordClass(words[i]), ...statusClass(cell) }, text(cell)),
      ),
    ),
  );
  return element(
    'div',
    { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption },
    element(
      'table',
      {},
      element('caption', {}, text(caption)),
      element('thead', {}, element('tr', {}, ...headCells)),
      element('tbody', {}, ...rows),
    ),
  );
}

export function details(summary: string, ...children: Html[]): Html {
  return element('details', {}, element('summary', {}, text(summary)), ...children);
}

export function list(items: string[]): Html {
  return element('ul', {}, ...items.map((item) => element('li', {}, text(item))));
}

function startsLikeFigure(cell: string): boolean {
  return /^[\d—]/.test(cell);
}

function wordClass(words: boolean | undefined): Record<string, string> {
  return words ? { class: 'words' } : {};
}

function statusClass(cell: string): Record<string, string> {
  return cell === 'failed' || cell === 'skipped' || cell === 'not measured' ? { class: cell.replace(' ', '-') } : {};
}
