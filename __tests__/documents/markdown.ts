import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export const root = join(__dirname, '../..')

/** The documents that are held to the code, by path from the root: all of them, so that a new one is held too. */
export const documents: readonly string[] = globSync(['*.md', 'docs/*.md'], { cwd: root }).sort()

export function readDocument(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}

export interface Snippet {
  readonly language: string
  /** The word after the language: how a test runs the snippet. `kinds.ts` has all of them. */
  readonly mark: string
  readonly code: string
  /** Of the first line of the code in its document. */
  readonly line: number
}

/** The fenced blocks of a document. */
export function snippets(markdown: string): Snippet[] {
  return [...markdown.matchAll(/^```(\w*)(?: (.*))?\n([\s\S]*?)^```$/gm)].map(
    ({ 1: language = '', 2: mark = '', 3: code = '', index }) => ({
      language,
      mark,
      code,
      line: markdown.slice(0, index).split('\n').length + 1,
    }),
  )
}

/** The document without its fenced blocks, in which nothing is a heading or a link. */
export function prose(markdown: string): string {
  return markdown.replace(/^```.*\n[\s\S]*?^```$/gm, '')
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
