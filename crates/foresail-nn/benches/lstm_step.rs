fn main() {
    use foresail_nn::*;
    use rand_chacha::rand_core::SeedableRng;
    let mut s = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let mut l = lstm::Lstm::<f32>::new(1, 50, 1, &mut s);
    let x = vec![[0.3f32; LANES]; 48];
    let mut tape = lstm::LstmTape::default();
    let up = vec![[0.1f32; LANES]; 50];
    for _ in 0..3 {
        let t = std::time::Instant::now();
        for _ in 0..40 {
            l.forward(&x, &[], &mut tape);
        }
        let f = t.elapsed();
        let t = std::time::Instant::now();
        for _ in 0..40 {
            l.backward(lstm::Upstream::Last(&up), &[], &mut tape, None);
        }
        println!(
            "{} fwd {:?} bwd {:?} per 4 tiles",
            instruction_set(),
            f / 10,
            t.elapsed() / 10
        );
    }
}
