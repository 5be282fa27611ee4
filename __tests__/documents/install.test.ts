import { globSync } from 'node:fs'
import { documents, readDocument, root } from './markdown.js'

/* Until the package's name in the registry is ours, nobody is told to install or run what somebody else may have published under it. */

const files = [...documents, ...globSync(['lib/cli/**/*.ts', 'examples/*'], { cwd: root })]
const command = /\b(?:npx|npm (?:install|i|exec|add)|pnpm \w+|yarn \w+|bunx)\b[^\n`]*?\bconversion-webhook\b(?![-/]\w)/g

test.each(files)('%s sends nobody to the registry for this package', (file) => {
  const commands = readDocument(file).match(command) ?? []
  expect(commands.filter((found) => found !== 'npx --no -- conversion-webhook')).toEqual([])
})

test('the README installs the tarball that npm pack makes of this version', () => {
  const { version } = JSON.parse(readDocument('package.json')) as { version: string }
  expect(readDocument('README.md')).toContain(`/conversion-webhook-${version}.tgz`)
})
