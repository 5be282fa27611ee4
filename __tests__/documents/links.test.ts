import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { anchors, documents, prose, readDocument, root } from './markdown.js'

interface Link {
  readonly document: string
  readonly target: string
}

const links: readonly Link[] = documents.flatMap((document) =>
  [...prose(readDocument(document)).matchAll(/\]\(([^)\s]+)\)/g)].map(({ 1: target = '' }) => ({ document, target })),
)
const isExternal = ({ target }: Link) => /^[a-z]+:/.test(target)

test.each(links.filter((link) => !isExternal(link)).map((link) => [link.document, link.target] as const))(
  'in %s the link %s leads somewhere',
  (document, target) => {
    const [file = '', anchor] = target.split('#')
    const path = file === '' ? document : relative(root, join(root, dirname(document), file))
    expect({ path, exists: existsSync(join(root, path)) }).toEqual({ path, exists: true })
    if (anchor !== undefined) expect([...anchors(readDocument(path))]).toContain(anchor)
  },
)

test('links to other sites go to the two forms that the changelog follows, and nowhere else', () => {
  const sites = links.filter(isExternal).map(({ target }) => new URL(target).hostname)
  expect([...new Set(sites)].sort()).toEqual(['keepachangelog.com', 'semver.org'])
})

test('every npm script that a document names exists', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: object }
  const commands = documents.flatMap((document) => [
    ...readDocument(document).matchAll(/npm (?:run ([\w:]+)|(start|test)\b)/g),
  ])
  const unknown = commands.map(([, run, short]) => run ?? short ?? '').filter((name) => !(name in scripts))
  expect(commands.length).toBeGreaterThan(10)
  expect(unknown).toEqual([])
})
