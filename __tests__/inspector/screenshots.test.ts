import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { conversionWebhook } from '../../lib/index.js'
import { conversionInspector } from '../../lib/inspector.js'
import { sqliteInbox } from '../../lib/sqlite.js'
import { callbacksOf } from '../../lib/cli/dummy.js'
import { settled } from '../contract/inboxes.js'
import { browserPath, launch, openPage } from '../support/browser.js'
import { closeServers, listen } from '../support/servers.js'
import { hasSqlite, openFile, temporaryFolder } from '../support/sqlite.js'

/*
 * Takes the pictures of the README: `npm run screenshots`. The data is dummy callbacks; their times are spread over a month in the file.
 */

const folder = temporaryFolder()
const opened: { close(): Promise<void> }[] = []
afterAll(async () => {
  for (const each of opened) await each.close()
  await closeServers()
  folder.remove()
})

const pictures = {
  light: { viewport: { width: 1200, height: 1060 } },
  dark: { viewport: { width: 1200, height: 1060 }, colorScheme: 'dark' },
  phone: { viewport: { width: 390, height: 844 }, isMobile: true, deviceScaleFactor: 2 },
} as const

const plan = { status: 'mixed', goal: 0, conversions: 3_000, repeat: 1, seed: 11 } as const
const conversions = 260
const dummies = callbacksOf(plan)
/** Callbacks with names that the fonts of every machine can draw. */
const callbacks = Array.from({ length: plan.conversions }, (_, place) => dummies.at(place))
  .filter(
    ({ referrer_name: a = '', referee_name: b = '' }) =>
      !/[^\p{Script=Latin}\p{Script=Common}]|\p{Emoji_Presentation}/u.test(a + b),
  )
  .slice(0, conversions)

const testPictures = browserPath !== undefined && hasSqlite ? test : test.skip

testPictures(
  'the pictures of the README are taken',
  async () => {
    const file = folder.file('conversions.db')
    const inbox = sqliteInbox(file)
    const locked = callbacks.slice(0, -2).findLast(({ conversion }) => conversion === 'success')?.orderID
    const fail = ({ orderId }: { orderId?: string }) => {
      if (orderId === locked) throw new Error('the account is locked')
    }
    const handlers = { onSuccess: fail, onPending: () => undefined, onFail: () => undefined, onError: () => undefined }
    const webhook = conversionWebhook(handlers, { secret: false, inbox, maxAttempts: 1 })
    for (const callback of [...callbacks, ...callbacks.slice(0, 40)]) await webhook.accept(callback)
    await webhook.accept({ ...callbacks[0], orderID: 'DEMO-12-1', purchaseValue: '$ 49.90' })
    await settled(inbox)
    const db = openFile(file)
    const back = db.prepare(`UPDATE conversion_webhook_deliveries
      SET received_at = received_at - ?1, callback = json_set(callback, '$.at', received_at - ?1) WHERE number = ?2`)
    const numbers = db.prepare('SELECT number FROM conversion_webhook_deliveries ORDER BY number DESC').all()
    for (const [age, { number }] of numbers.entries()) {
      const day = age < 8 ? 0 : Math.floor((age / conversions) ** 1.3 * 30 + 2 * Math.sin(age))
      back.run(Math.max(0, day) * 86_400_000 + age * 97_000, number ?? 0)
    }
    db.exec(`DELETE FROM conversion_webhook_days; INSERT INTO conversion_webhook_days (day, event_key, count)
      SELECT received_at / 86400000, event_key, count(*) FROM conversion_webhook_deliveries GROUP BY 1, 2`)
    db.close()

    const inspector = conversionInspector(inbox, { authorize: () => true })
    const { url } = await listen((req, res) => inspector(req, res))
    const browser = await launch()
    opened.push(browser, webhook)
    const images = join(__dirname, '../../docs/images')
    for (const [name, options] of Object.entries(pictures)) {
      const { page } = await openPage(browser, url, options)
      await page.getByText('50 shown, older ones exist.').waitFor()
      expect(await page.locator('#callbacks dd').allTextContents()).toEqual(['260', '40', '0', '0', '1'])
      expect(await page.locator('#plot canvas').boundingBox()).toMatchObject({ height: 200 })
      const path = join(images, `inspector-${name}.png`)
      if (process.env.SCREENSHOTS === '1') {
        mkdirSync(images, { recursive: true })
        await page.screenshot({ path })
      }
      expect(existsSync(path)).toBe(true)
    }
  },
  60_000,
)
