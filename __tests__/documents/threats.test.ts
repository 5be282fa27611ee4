import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { readDocument, root, sectionOf } from './markdown.js'

test('every test that docs/security.md names is there', () => {
  const { text } = sectionOf(readDocument('docs/security.md'), 'Who tries what')
  const named = [...text.matchAll(/`([a-z]+\/[\w./-]*)`/g)].map(([, path = '']) => path)
  expect(named.length).toBeGreaterThan(10)
  expect(named.filter((path) => !existsSync(join(root, '__tests__', path)))).toEqual([])
})

test('every script that docs/security.md names is there', () => {
  const { scripts } = JSON.parse(readDocument('package.json')) as { scripts: Readonly<Record<string, string>> }
  const named = [...readDocument('docs/security.md').matchAll(/`npm run ([\w:]+)`/g)].map(([, name = '']) => name)
  expect(named.filter((name) => !(name in scripts))).toEqual([])
})
