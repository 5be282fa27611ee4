import { printable } from '../../util/printable.js'

/** The element of page.html with an id. */
export function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id)
  if (!(found instanceof type)) throw new TypeError(`page.html has no ${type.name} #${id}`)
  return found
}

/** A new element. A string becomes a text node, never HTML. */
export function make<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Readonly<Record<string, string>> = {},
  ...children: (Node | string | undefined)[]
): HTMLElementTagNameMap[Name] {
  const made = document.createElement(name)
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value)
  made.append(...children.filter((child) => child !== undefined))
  return made
}

/** A string from outside. `bdi` keeps right-to-left characters in it from reordering the text around it. */
export function foreign(text: string): HTMLElement {
  return make('bdi', {}, printable(text))
}

/** Sets the text of an element if it differs: a screen reader reads a text that is set again. */
export function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

const localTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })

/** A time in the browser's locale and time zone. */
export function time(iso: string): HTMLTimeElement {
  return make('time', { datetime: iso, title: iso }, localTime.format(new Date(iso)))
}

export function figure(value: number): string {
  return value.toLocaleString()
}

const units = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
] as const

/** 125,000 -> 2 minutes */
export function duration(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1_000))
  const [unit, size] = units.find(([, each]) => seconds >= each) ?? units[3]
  const count = Math.floor(seconds / size)
  return `${figure(count)} ${unit}${count === 1 ? '' : 's'}`
}
