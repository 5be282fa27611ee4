import express from 'express'
import { inspect } from 'node:util'
import { conversionWebhook, type Conversion } from '../../lib/index.js'
import { sample, sampleConversion } from '../support/callbacks.js'
import { closeServers, listen } from '../support/servers.js'
import { readDocument, snippets } from './markdown.js'

const markdown = readDocument('README.md')
const blocks = snippets(markdown)
const documentedUrl = /curl "(http[^"]+)"/.exec(markdown)?.[1] ?? ''
const printed = blocks.find(({ language }) => language === 'text')?.code ?? ''

afterEach(closeServers)

/** The README's app, with its handler printing as the README says. */
async function receive() {
  const output: string[] = []
  const conversions: Conversion[] = []
  const app = express()
  app.use(
    '/webhook',
    conversionWebhook(
      {
        onGoalComplete: (conversion) => {
          output.push(inspect(conversion))
          conversions.push(conversion)
        },
      },
      { secret: false },
    ),
  )
  const { port } = await listen(app)
  const url = new URL(documentedUrl)
  url.port = String(port)
  url.hostname = '127.0.0.1'
  const answers = [await fetch(url), await fetch(url)].map(async (answer) => [answer.status, await answer.text()])
  return { output, conversions, answers: await Promise.all(answers) }
}

test('the callback to paste is the documented example', () => {
  expect(Object.fromEntries(new URL(documentedUrl).searchParams)).toEqual(sample)
})

test('the callback to paste gives the printed object and answers, once', async () => {
  const { output, conversions, answers } = await receive()
  const withoutTime = (text: string) => text.trim().replace(/receivedAt: \S+Z,/, 'receivedAt: …,')
  expect(output.map(withoutTime)).toEqual([withoutTime(printed)])
  expect(printed).toMatch(/receivedAt: \d{4}-\d\d-\d\dT[\d:.]+Z,/)
  expect(conversions).toEqual([
    { ...sampleConversion, extra: expect.anything() as object, receivedAt: expect.any(Date) as Date },
  ])
  expect(answers).toEqual([
    [200, '{"outcome":"accepted"}'],
    [200, '{"outcome":"duplicate"}'],
  ])
  for (const [, body] of answers) expect(markdown).toContain(`\`${String(body)}\``)
})

test('the first snippet says which of the two events to register', () => {
  expect(blocks[0]?.code).toContain('One callback can fire success *and* goalComplete')
})

test('the two commands come before anything else to read', () => {
  const before = markdown.slice(0, markdown.indexOf('\n## '))
  expect(before).toContain('npm ci && npm start -- --demo')
  expect(before).toContain('npm ci && npm test')
})
