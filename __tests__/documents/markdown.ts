import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export const root = join(__dirname, '../..')

/** The documents that are held to the code, by path from the root. */
export const documents = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'docs/setup.md',
  'docs/guide.md',
  'docs/rewards.md',
  'docs/operations.md',
  'docs/reference.md',
  'docs/errors.md',
  'docs/security.md',
  'docs/durability.md',
  'docs/testing.md',
  'docs/cli.md',
  'docs/inspector.md',
  'docs/performance.md',
] as const

export function readDocument(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}

export interface Snippet {
  readonly language: string
  readonly code: string
  /** Of the first line of the code in its document. */
  readonly line: number
}

/** The fenced blocks of a document. */
export function snippets(markdown: string): Snippet[] {
  return [...markdown.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(({ 1: language = '', 2: code = '', index }) => ({
    language,
    code,
    line: markdown.slice(0, index).split('\n').length + 1,
  }))
}

/** The document without its fenced blocks, in which nothing is a heading or a link. */
export function prose(markdown: string): string {
  return markdown.replace(/^```\w*\n[\s\S]*?^```$/gm, '')
}

export interface Section {
  readonly title: string
  readonly level: number
  /** Up to the next heading of the same or a higher level, fenced blocks included. */
  readonly text: string
}

/** Headings with what stands below them. */
export function sections(markdown: string): Section[] {
  const fences = snippets(markdown).map(({ code }) => code)
  const headings = [...markdown.matchAll(/^(#{1,6}) (.+)$/gm)].filter(
    ({ 0: line }) => !fences.some((code) => code.includes(`${line}\n`)),
  )
  return headings.map(({ 1: hashes = '', 2: title = '', index }, at) => {
    const next = headings.slice(at + 1).find(([, others = '']) => others.length <= hashes.length)
    return { title, level: hashes.length, text: markdown.slice(index, next?.index) }
  })
}

/** The section with this title, code marks aside. Fails the test where there is none. */
export function sectionOf(markdown: string, title: string): Section {
  const found = sections(markdown).find((section) => section.title.replaceAll('`', '') === title)
  if (found === undefined) throw new Error(`There is no section ${title}.`)
  return found
}

/** Anchors as Git hosts make them of headings. */
export function anchors(markdown: string): Set<string> {
  const seen = new Map<string, number>()
  return new Set(
    sections(markdown).map(({ title }) => {
      const slug = title
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(' ', '-')
      const count = seen.get(slug) ?? 0
      seen.set(slug, count + 1)
      return count === 0 ? slug : `${slug}-${String(count)}`
    }),
  )
}
