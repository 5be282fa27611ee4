import type { RowView } from '../view.js'
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
  const entry = { row: make('tr', {}, make('th', { scope: 'row' }, opener)), opener, text: '' }
  shown.set(id, entry)
  return entry
}

function fill(entry: Shown, view: RowView, text: string): void {
  const { row, opener } = entry
  entry.text = text
  const { state, event, kind, orderId, referrer, referee, attempts, lastError, code, orderNote } = view
  opener.replaceChildren(time(view.receivedAt))
  const note = orderNote && make('span', { class: 'taken' }, orderNote)
  const cells: readonly (readonly [label: string, content: Node | string | undefined])[] = [
    ['State', make('span', {}, stateBadge(state), note)],
    ['Event', event ?? kind],
    ['Order', orderId === undefined ? undefined : foreign(orderId)],
    ['Referrer', person(referrer)],
    ['Referee', person(referee)],
    ['Attempts', attempts === 0 ? undefined : String(attempts)],
    ['Last error', errorOf(code === undefined ? lastError : { code })],
  ]
  for (const cell of [...row.cells].slice(1)) cell.remove()
  row.append(...cells.map(([label, content]) => make('td', { 'data-label': label }, content)))
}

export function stateBadge(state: string): HTMLElement {
  return make('span', { class: `state ${state}` }, state)
}

function person(parts: readonly string[]): Node | undefined {
  return parts.length === 0 ? undefined : make('span', { class: 'person' }, ...parts.map(foreign))
}

function errorOf(error: RowView['lastError']): Node | undefined {
  if (error === undefined) return undefined
  const { code, message } = error
  const words = code.replace('ERR_CONVERSION_', '').replaceAll('_', ' ').toLowerCase()
  return make('span', { title: code }, words, ...(message === undefined ? [] : [': ', foreign(message)]))
}
