import type { PersonView, RowView } from '../api.js'
import { element, foreign, make, time } from './dom.js'

const body = element('rows', HTMLElement)

interface Shown {
  readonly row: HTMLTableRowElement
  readonly opener: HTMLButtonElement
  text: string
}

const shown = new Map<string, Shown>()

/** Shows rows in their order. A row that was shown before keeps its element, so that the focus stays. */
export function showRows(rows: readonly RowView[], open: (id: string) => void): void {
  const ids = new Set(rows.map(({ id }) => id))
  for (const [id, { row }] of shown) {
    if (ids.has(id)) continue
    row.remove()
    shown.delete(id)
  }
  let before: ChildNode | null = body.firstChild
  for (const view of rows) {
    const entry = shown.get(view.id) ?? add(view.id, open)
    const text = JSON.stringify(view)
    if (entry.text !== text) fill(entry, view, text)
    if (entry.row === before) before = before.nextSibling
    else body.insertBefore(entry.row, before)
  }
}

function add(id: string, open: (id: string) => void): Shown {
  const opener = make('button', { type: 'button', class: 'opener' })
  opener.addEventListener('click', () => {
    open(id)
  })
  const entry = { row: make('tr'), opener, text: '' }
  shown.set(id, entry)
  return entry
}

function fill(entry: Shown, view: RowView, text: string): void {
  const { row, opener } = entry
  entry.text = text
  const { state, event, kind, orderId, referrer, referee, attempts, lastError, code, takenBy } = view
  opener.replaceChildren(time(view.receivedAt))
  const cells: readonly (readonly [label: string, content: Node | string | undefined])[] = [
    ['State', make('span', {}, stateBadge(state), takenBy === undefined ? undefined : takenNote())],
    ['Event', event ?? kind],
    ['Order', orderId === undefined ? undefined : foreign(orderId)],
    ['Referrer', person(referrer)],
    ['Referee', person(referee)],
    ['Attempts', attempts === 0 ? undefined : String(attempts)],
    ['Last error', code === undefined ? errorOf(lastError?.code, lastError?.message) : errorOf(code, undefined)],
  ]
  if (opener.parentNode === null) row.append(make('th', { scope: 'row' }, opener))
  const filled = cells.map(([label, content]) => make('td', { 'data-label': label }, content))
  for (const cell of [...row.cells].slice(1)) cell.remove()
  row.append(...filled)
}

export function stateBadge(state: string): HTMLElement {
  return make('span', { class: `state ${state}` }, state)
}

function takenNote(): HTMLElement {
  return make('span', { class: 'taken' }, 'another claim has the order')
}

function person(view: PersonView | undefined): Node | undefined {
  if (view === undefined) return undefined
  const parts = [view.name, view.email].filter((text) => text !== undefined)
  return make('span', { class: 'person' }, ...parts.map(foreign))
}

function errorOf(code: string | undefined, message: string | undefined): Node | undefined {
  if (code === undefined) return undefined
  const short = code
    .replace(/^ERR_CONVERSION_/, '')
    .replaceAll('_', ' ')
    .toLowerCase()
  return make('span', { title: code }, short, ...(message === undefined ? [] : [': ', foreign(message)]))
}
