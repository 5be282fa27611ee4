import { globSync } from 'node:fs'
import { prose, readDocument, root, snippets } from './markdown.js'

/* The pages below docs/ for users: each is in the index, and each starts with what it is for and a snippet. */

/** The index itself, and what is for people who change the package. */
const others = ['README.md', 'design.md']

const pages = globSync('docs/*.md', { cwd: root })
  .map((path) => path.replace('docs/', ''))
  .filter((page) => !others.includes(page))
  .sort()

test('the index names every page, once', () => {
  const rows = [...readDocument('docs/README.md').matchAll(/^\| \[[^\]]+\]\((\w+\.md)\)/gm)].map(([, page]) => page)
  expect(rows.sort()).toEqual(pages)
})

test.each(pages)('%s starts with what it is for, in one paragraph, and a snippet', (page) => {
  const markdown = readDocument(`docs/${page}`)
  const [title = '', purpose = ''] = prose(markdown).split('\n\n')
  expect(title).toMatch(/^# \S/)
  expect(purpose).toMatch(/^[A-Z].*[.:]$/)
  expect(purpose.split(' ').length).toBeLessThan(70)
  const [, , second] = markdown.split(/^## /m)
  const [first] = snippets(markdown)
  expect(first?.line).toBeLessThan(markdown.slice(0, markdown.indexOf(second ?? '')).split('\n').length)
})
