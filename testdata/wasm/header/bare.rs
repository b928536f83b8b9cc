// header.rs without a standard library and without memory to allocate.
#![no_std]
use postern::*;

struct Header;

impl Plugin for Header {
    fn configure(_: &str) -> Result<Self> {
        Ok(Header)
    }

    fn request(&mut self, r: Request, _: Response) -> Result<Verdict> {
        let mut buffer = [0; 128];
        if let Some(agent) = r.headers().get_into("user-agent", &mut buffer) {
            r.headers().set("x-agent", core::str::from_utf8(agent).unwrap_or(""))?;
        }
        Ok(Verdict::Continue)
    }
}

export!(Header: request);

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}
